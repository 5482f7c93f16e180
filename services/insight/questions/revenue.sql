-- Question: How much was sold in each day, week, month, quarter or year, in each currency?
-- Read: One row a period and currency; a period is named by its first day, a week begins on Monday. Money is never
--   added across currencies. With a table of rates, each order is converted at the rate that held on the day it was
--   made, `conversion` says at which, and a row `all` adds up the period; a currency without a rate is named there, is
--   not converted, and leaves its period without a total.
-- Counted: Sales orders as they are now, units times unit price, by the day they were made.
-- Not counted: Orders that were deleted. What was ordered is counted, not what was paid: see `payments` for that.
-- Parameter by (day|week|month|quarter|year; month): How long a period is.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
-- Parameter rates (rates; none): A CSV file of what one unit of a currency is worth: currency, rate, base, and from
--   when on (valid_from, may be empty).
WITH rate AS (
    SELECT currency, base, rate, COALESCE(valid_from, '-infinity') AS valid_from
      FROM jsonb_to_recordset(CAST(:rates AS jsonb)) AS given (currency text, base text, rate numeric, valid_from date)
),
sale AS (
    SELECT CAST(date_trunc(:by, o.created_date) AS date) AS period, c.currency_id, c.currency_code AS currency,
           o.units_sold AS units, o.units_sold * o.unit_price AS revenue, r.rate, r.base
      FROM current_sales_order o
      JOIN dim_currency c ON c.currency_id = o.currency_id
      LEFT JOIN LATERAL (SELECT rate.rate, rate.base
                           FROM rate
                          WHERE rate.currency = c.currency_code AND rate.valid_from <= o.created_date
                          ORDER BY rate.valid_from DESC
                          LIMIT 1) r ON true
     WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
       AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
),
by_currency AS (
    -- By the id: the codes of currencies that are not read yet are all Unknown.
    SELECT period, currency_id, currency, count(*) AS orders, sum(units) AS units, sum(revenue) AS revenue,
           -- A sum over some of the orders would look like one over all.
           CASE WHEN count(rate) = count(*) THEN round(sum(revenue * rate), 2) END AS converted,
           count(*) - count(rate) AS without_rate, min(base) AS base, min(rate) AS lowest, max(rate) AS highest
      FROM sale
     GROUP BY period, currency_id, currency
),
answer AS (
    SELECT period, currency_id, currency, orders, units, revenue, converted,
           CASE WHEN CAST(:rates AS jsonb) IS NULL THEN NULL
                WHEN without_rate = orders THEN format('no rate for %s', currency)
                WHEN without_rate > 0 THEN format('no rate for %s of %s orders in %s', without_rate, orders, currency)
                WHEN lowest = highest THEN format('to %s at %s', base, lowest)
                ELSE format('to %s at %s to %s', base, lowest, highest)
           END AS conversion
      FROM by_currency
    UNION ALL
    SELECT period, NULL, 'all', CAST(sum(orders) AS bigint), CAST(sum(units) AS bigint), NULL,
           CASE WHEN sum(without_rate) = 0 THEN sum(converted) END,
           CASE WHEN sum(without_rate) = 0 THEN format('in %s', min(base))
                ELSE format('no total: a rate is missing for %s',
                            string_agg(currency, ', ' ORDER BY currency) FILTER (WHERE without_rate > 0))
           END
      FROM by_currency
     WHERE CAST(:rates AS jsonb) IS NOT NULL
     GROUP BY period
)
SELECT period, currency, orders, units, revenue, converted, conversion
  FROM answer
 ORDER BY period, currency_id IS NULL, currency, currency_id
