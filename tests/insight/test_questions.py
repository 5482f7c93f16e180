"""Every question gives the answer that was worked out by hand from the shop's rows (see shop.py)."""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.insight.catalogue import questions
from services.insight.view import as_csv
from tests.insight.conftest import asked
from tests.loader.conftest import Star


@dataclass(frozen=True)
class Case:
    """What is promised, what is typed, and the answer as CSV."""

    promise: str
    question: str
    answer: str
    typed: dict[str, str] = field(default_factory=dict)

    @property
    def expected(self) -> str:
        return textwrap.dedent(self.answer).lstrip("\n")


REVENUE = [
    Case(
        "revenue by month stands apart for each currency, and a deleted order is none of it",
        "revenue",
        # January: sales 1 and 3 are 2,500 + 3,000 pounds, sale 2 is 6,000 dollars. February: 4 and 6; 5 is deleted.
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-01,GBP,2,2500,5500.00,,
        2026-01-01,USD,1,2000,6000.00,,
        2026-02-01,EUR,1,1200,2700.00,,
        2026-02-01,GBP,1,3000,6300.00,,
        """,
    ),
    Case(
        "revenue by week begins on Monday: Sunday the 11th belongs to the week of the 5th",
        "revenue",
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-05,GBP,1,1000,2500.00,,
        2026-01-05,USD,1,2000,6000.00,,
        2026-01-12,GBP,1,1500,3000.00,,
        2026-02-02,EUR,1,1200,2700.00,,
        2026-02-02,GBP,1,3000,6300.00,,
        """,
        {"by": "week"},
    ),
    Case(
        "revenue by day counts the first and the last day asked for",
        "revenue",
        # Left out: sale 1 of 5 January and sale 6 of 4 February.
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-11,USD,1,2000,6000.00,,
        2026-01-12,GBP,1,1500,3000.00,,
        2026-02-02,GBP,1,3000,6300.00,,
        """,
        {"by": "day", "from": "2026-01-11", "to": "2026-02-02"},
    ),
    Case(
        "revenue of one currency is that currency's alone",
        "revenue",
        # 2,500 + 3,000 + 6,300
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-01,GBP,3,5500,11800.00,,
        """,
        {"by": "quarter", "currency": "gbp"},
    ),
]

SALES = [
    Case(
        "designs of one name are added up, each currency's best first",
        "sales-by-design",
        # Bronze in pounds: b of sale 1 (2,500) and a of sale 3 (3,000). Sale 1 was of a once, which counts no more.
        """
        design_name,file_name,currency,designs,orders,units,revenue
        Steel,,EUR,1,1,1200,2700.00
        Steel,,GBP,1,1,3000,6300.00
        Bronze,,GBP,2,2,2500,5500.00
        Bronze,,USD,1,1,2000,6000.00
        """,
    ),
    Case(
        "designs by file are one by one",
        "sales-by-design",
        """
        design_name,file_name,currency,designs,orders,units,revenue
        Steel,steel-a.json,EUR,1,1,1200,2700.00
        Steel,steel-a.json,GBP,1,1,3000,6300.00
        Bronze,bronze-a.json,GBP,1,1,1500,3000.00
        Bronze,bronze-b.json,GBP,1,1,1000,2500.00
        Bronze,bronze-b.json,USD,1,1,2000,6000.00
        """,
        {"by": "file"},
    ),
    Case(
        "a design that no order has ever asked for is not sold",
        "designs-not-sold",
        """
        design_id,design_name,file_location,file_name
        4,Velvet,/v,velvet-a.json
        """,
    ),
    Case(
        "a design that was sold later, or until its order was changed, is not sold",
        "designs-not-sold",
        # By 10 January there was sale 1 alone: of b, for it was changed, and no more of a.
        """
        design_id,design_name,file_location,file_name
        1,Bronze,/a,bronze-a.json
        3,Steel,/a,steel-a.json
        4,Velvet,/v,velvet-a.json
        """,
        {"to": "2026-01-10"},
    ),
    Case(
        "an order that was handed over counts for the new owner",
        "sales-by-staff",
        # Ada has sale 1, once Irving's, and 3: 2,500 + 3,000 pounds, 2,750 on average.
        """
        staff_id,staff,department,currency,orders,units,revenue,average_order
        3,Tom Oak,Purchasing,EUR,1,1200,2700.00,2700.00
        1,Irving O'Keefe,Sales,GBP,1,3000,6300.00,6300.00
        2,Ada Byron,Sales,GBP,2,2500,5500.00,2750.00
        1,Irving O'Keefe,Sales,USD,1,2000,6000.00,6000.00
        """,
    ),
    Case(
        "a department is the sum of its people",
        "sales-by-department",
        # Sales in pounds: Irving's 6,300 and Ada's 5,500.
        """
        department,currency,staff,orders,units,revenue
        Purchasing,EUR,1,1,1200,2700.00
        Sales,GBP,2,3,5500,11800.00
        Sales,USD,1,1,2000,6000.00
        """,
    ),
    Case(
        "a customer has a line for each currency, and the day of the last order",
        "sales-by-counterparty",
        """
        counterparty_id,counterparty,country,currency,orders,units,revenue,last_order
        1,Fahey & Sons,United Kingdom,EUR,1,1200,2700.00,2026-02-04
        2,"Leannon, Predovic and Morar",Norway,GBP,1,3000,6300.00,2026-02-02
        1,Fahey & Sons,United Kingdom,GBP,2,2500,5500.00,2026-01-12
        2,"Leannon, Predovic and Morar",Norway,USD,1,2000,6000.00,2026-01-11
        """,
    ),
    Case(
        "a country is that of the customer",
        "sales-by-country",
        """
        country,currency,counterparties,orders,units,revenue
        United Kingdom,EUR,1,1,1200,2700.00
        Norway,GBP,1,1,3000,6300.00
        United Kingdom,GBP,1,2,2500,5500.00
        Norway,USD,1,1,2000,6000.00
        """,
    ),
    Case(
        "asked for delivery, a country is where the goods go",
        "sales-by-country",
        # To Oslo in pounds: sales 3 and 4, 3,000 + 6,300; to Leeds sale 1 alone.
        """
        country,currency,counterparties,orders,units,revenue
        Norway,EUR,1,1,1200,2700.00
        Norway,GBP,2,2,4500,9300.00
        United Kingdom,GBP,1,1,1000,2500.00
        Norway,USD,1,1,2000,6000.00
        """,
        {"of": "delivery"},
    ),
]

SPEND = [
    Case(
        "spend by supplier stands apart for each currency",
        "spend-by-supplier",
        # Purchases 1 and 2: 100 x 4.00 + 300 x 2.00 dollars of one item. Purchase 4 is deleted.
        """
        counterparty_id,supplier,country,currency,orders,items,quantity,spend,last_order
        1,Fahey & Sons,United Kingdom,GBP,1,1,10,999.90,2026-01-21
        2,"Leannon, Predovic and Morar",Norway,USD,2,1,400,1000.00,2026-01-20
        """,
    ),
    Case(
        "an item's average price is that of a piece, not of an order",
        "spend-by-item",
        # 1,000 dollars for 400 pieces are 2.50 each; the average of the two prices would be 3.00.
        """
        item_code,currency,suppliers,orders,quantity,spend,lowest_price,average_price,highest_price
        XYZ9999,GBP,1,1,10,999.90,99.99,99.99,99.99
        ABC1234,USD,1,2,400,1000.00,2.00,2.50,4.00
        """,
    ),
]

DELIVERY = [
    Case(
        "a delivery date is held against the first one agreed",
        "delivery-performance",
        # January's purchases: 1 was brought forward from the 13th to the 10th; 4 + 7 + 7 days to delivery, 6 on average.
        # January's sales: 1 was put off from the 12th to the 14th, 3 came back to the 19th; 9 + 7 + 7 days.
        # February's: 6 was agreed anew when it came back, for the 11th, which has not passed; 8 + 7 days.
        """
        month,orders,number,kept,put_off,brought_forward,kept_percent,average_days_moved,average_days_to_delivery,still_to_come
        2026-01-01,purchases,3,2,0,1,66.7,-3.0,6.0,0
        2026-01-01,sales,3,2,1,0,66.7,2.0,7.7,0
        2026-02-01,sales,2,2,0,0,100.0,,7.5,1
        """,
    ),
    Case(
        "a delivery of the day asked about is still to come, one of the day before is not",
        "delivery-performance",
        # Sale 4 is due on the 10th, sale 6 on the 11th.
        """
        month,orders,number,kept,put_off,brought_forward,kept_percent,average_days_moved,average_days_to_delivery,still_to_come
        2026-02-01,sales,2,2,0,0,100.0,,7.5,2
        """,
        {"orders": "sales", "from": "2026-02-01", "on": "2026-02-10"},
    ),
]

PAYMENTS = [
    Case(
        "paid, due, overdue and never are told apart; a weekend's payment that somebody paid is paid",
        "payments",
        # Of the 17th and 18th of January, and the 14th of February to come, nobody takes care. The 16th, a Friday, is
        # overdue; the 11th of February is today.
        """
        payment_type,currency,status,payments,amount,first_due,last_due
        SALES_RECEIPT,EUR,never,1,2700.00,2026-02-14,2026-02-14
        SALES_RECEIPT,GBP,overdue,1,3000.00,2026-01-16,2026-01-16
        SALES_RECEIPT,GBP,due,1,6300.00,2026-02-11,2026-02-11
        SALES_RECEIPT,GBP,paid,1,2500.00,2026-01-09,2026-01-09
        SALES_RECEIPT,USD,never,1,6000.00,2026-01-17,2026-01-17
        PURCHASE_PAYMENT,USD,never,1,400.00,2026-01-18,2026-01-18
        PURCHASE_PAYMENT,USD,paid,1,600.00,2026-01-24,2026-01-24
        """,
    ),
    Case(
        "payments before the morning's job are due",
        "payments",
        """
        payment_type,currency,status,payments,amount,first_due,last_due
        SALES_RECEIPT,GBP,due,1,2500.00,2026-01-09,2026-01-09
        PURCHASE_PAYMENT,USD,never,1,400.00,2026-01-18,2026-01-18
        """,
        {"at": "2026-01-09T07:55:10"},
    ),
    Case(
        "payments from the moment of the job on are paid",
        "payments",
        """
        payment_type,currency,status,payments,amount,first_due,last_due
        SALES_RECEIPT,GBP,paid,1,2500.00,2026-01-09,2026-01-09
        """,
        {"at": "2026-01-09T07:55:11", "currency": "GBP"},
    ),
    Case(
        "a Monday's payment is due until its day is over, and a deleted one is not asked for",
        "payments",
        # Payment 7, of Monday the 26th; payment 3 of the 16th has long been late.
        """
        payment_type,currency,status,payments,amount,first_due,last_due
        SALES_RECEIPT,GBP,overdue,1,3000.00,2026-01-16,2026-01-16
        SALES_RECEIPT,GBP,paid,1,2500.00,2026-01-09,2026-01-09
        PURCHASE_PAYMENT,GBP,due,1,999.90,2026-01-26,2026-01-26
        """,
        {"at": "2026-01-26T23:59:59", "currency": "GBP"},
    ),
    Case(
        "open payments are listed with their days of delay, the longest waiting first",
        "payments-open",
        # 16 January to 11 February: 15 + 11 days.
        """
        payment_id,status,due_on,day,days_late,payment_type,amount,currency,counterparty,sales_order_id,purchase_order_id
        3,overdue,2026-01-16,Friday,26,SALES_RECEIPT,3000.00,GBP,Fahey & Sons,3,
        2,never,2026-01-17,Saturday,25,SALES_RECEIPT,6000.00,USD,"Leannon, Predovic and Morar",2,
        5,never,2026-01-18,Sunday,24,PURCHASE_PAYMENT,400.00,USD,"Leannon, Predovic and Morar",,1
        4,due,2026-02-11,Wednesday,,SALES_RECEIPT,6300.00,GBP,Fahey & Sons,4,
        8,never,2026-02-14,Saturday,,SALES_RECEIPT,2700.00,EUR,Fahey & Sons,6,
        """,
    ),
    Case(
        "open payments of one status, the day after a Monday's",
        "payments-open",
        """
        payment_id,status,due_on,day,days_late,payment_type,amount,currency,counterparty,sales_order_id,purchase_order_id
        3,overdue,2026-01-16,Friday,11,SALES_RECEIPT,3000.00,GBP,Fahey & Sons,3,
        7,overdue,2026-01-26,Monday,1,PURCHASE_PAYMENT,999.90,GBP,Fahey & Sons,,3
        """,
        {"status": "overdue", "at": "2026-01-27"},
    ),
]

CHANGES = [
    Case(
        "a sale's changes are told with old, new, owner and delay, deletions and returns too",
        "order-changes",
        # Sale 1: three days, and 15 days 12 hours. Sale 3: 2 days, and 3 days 6 hours. Sale 6: gone after a day, back
        # after 2 days 12 hours. Sale 5: gone after 7. Of sale 2, last_updated alone moved.
        """
        changed_at,orders,order_id,what,old,new,staff,department,days_after_creation
        2026-02-10T08:00:00+00:00,sales,5,deleted,,,Irving O'Keefe,Sales,7.00
        2026-02-06T20:00:00+00:00,sales,6,came back,,,Tom Oak,Purchasing,2.50
        2026-02-05T08:00:00+00:00,sales,6,deleted,,,Tom Oak,Purchasing,1.00
        2026-01-20T21:00:00+00:00,sales,1,sales staff,Irving O'Keefe (1),Ada Byron (2),Ada Byron,Sales,15.50
        2026-01-15T16:00:00+00:00,sales,3,agreed delivery date,2026-01-21,2026-01-19,Ada Byron,Sales,3.25
        2026-01-14T10:00:00+00:00,sales,3,agreed delivery date,2026-01-19,2026-01-21,Ada Byron,Sales,2.00
        2026-01-08T09:00:00+00:00,sales,1,agreed delivery date,2026-01-12,2026-01-14,Irving O'Keefe,Sales,3.00
        2026-01-08T09:00:00+00:00,sales,1,design,bronze-a.json (1),bronze-b.json (2),Irving O'Keefe,Sales,3.00
        """,
        {"orders": "sales"},
    ),
    Case(
        "a purchase's changes within the days asked for",
        "order-changes",
        # Left out: purchase 4, deleted on the 23rd.
        """
        changed_at,orders,order_id,what,old,new,staff,department,days_after_creation
        2026-01-07T08:00:00+00:00,purchases,1,agreed delivery date,2026-01-13,2026-01-10,Tom Oak,Purchasing,1.00
        2026-01-07T08:00:00+00:00,purchases,1,item code,OLD0000,ABC1234,Tom Oak,Purchasing,1.00
        """,
        {"orders": "purchases", "to": "2026-01-22"},
    ),
]

STATE = [
    Case(
        "a version holds from its first instant on",
        "sales-orders-as-of",
        """
        sales_order_id,made,counterparty,staff,design,units,unit_price,revenue,currency,agreed_payment_date,agreed_delivery_date,delivered_to,since,until
        1,2026-01-05,Fahey & Sons,Irving O'Keefe,bronze-b.json,1000,2.50,2500.00,GBP,2026-01-09,2026-01-14,"Leeds, United Kingdom",2026-01-08T09:00:00+00:00,2026-01-20T21:00:00+00:00
        """,
        {"at": "2026-01-08T09:00:00"},
    ),
    Case(
        "a version holds no longer than up to the next one's first instant",
        "sales-orders-as-of",
        """
        sales_order_id,made,counterparty,staff,design,units,unit_price,revenue,currency,agreed_payment_date,agreed_delivery_date,delivered_to,since,until
        1,2026-01-05,Fahey & Sons,Irving O'Keefe,bronze-a.json,1000,2.50,2500.00,GBP,2026-01-09,2026-01-12,"Leeds, United Kingdom",2026-01-05T09:00:00+00:00,2026-01-08T09:00:00+00:00
        """,
        {"at": "2026-01-08T08:59:59.999", "order": "1"},
    ),
    Case(
        "an order that is deleted at that instant is gone",
        "sales-orders-as-of",
        """
        sales_order_id,made,counterparty,staff,design,units,unit_price,revenue,currency,agreed_payment_date,agreed_delivery_date,delivered_to,since,until
        """,
        {"at": "2026-02-05T08:00", "order": "6"},
    ),
    Case(
        "purchases stand as they stood, those deleted since included",
        "purchase-orders-as-of",
        """
        purchase_order_id,made,supplier,staff,item_code,quantity,unit_price,spend,currency,agreed_payment_date,agreed_delivery_date,delivered_to,since,until
        1,2026-01-06,"Leannon, Predovic and Morar",Tom Oak,ABC1234,100,4.00,400.00,USD,2026-01-16,2026-01-10,"Leeds, United Kingdom",2026-01-07T08:00:00+00:00,
        2,2026-01-20,"Leannon, Predovic and Morar",Tom Oak,ABC1234,300,2.00,600.00,USD,2026-01-16,2026-01-27,"Leeds, United Kingdom",2026-01-20T08:00:00+00:00,
        3,2026-01-21,Fahey & Sons,Tom Oak,XYZ9999,10,99.99,999.90,GBP,2026-01-16,2026-01-28,"Leeds, United Kingdom",2026-01-21T08:00:00+00:00,
        4,2026-01-22,Fahey & Sons,Tom Oak,XYZ9999,10,99.99,999.90,GBP,2026-01-16,2026-01-28,"Leeds, United Kingdom",2026-01-22T08:00:00+00:00,2026-01-23T08:00:00+00:00
        """,
        {"at": "2026-01-22T12:00"},
    ),
    Case(
        "a payment that is paid now was open then",
        "payments-as-of",
        """
        payment_id,made,payment_type,counterparty,amount,currency,due_on,paid,sales_order_id,purchase_order_id,since,until
        1,2026-01-05,SALES_RECEIPT,Fahey & Sons,2500.00,GBP,2026-01-09,false,1,,2026-01-05T09:00:00+00:00,2026-01-09T07:55:11+00:00
        5,2026-01-06,PURCHASE_PAYMENT,"Leannon, Predovic and Morar",400.00,USD,2026-01-18,false,,1,2026-01-06T08:00:00+00:00,
        """,
        {"at": "2026-01-07"},
    ),
    Case(
        "a payment that was paid then says so",
        "payments-as-of",
        """
        payment_id,made,payment_type,counterparty,amount,currency,due_on,paid,sales_order_id,purchase_order_id,since,until
        1,2026-01-05,SALES_RECEIPT,Fahey & Sons,2500.00,GBP,2026-01-09,true,1,,2026-01-09T07:55:11+00:00,
        """,
        {"payment": "1"},
    ),
    Case(
        "a feed is as far behind as what is proven to be complete, and unproven ones come first",
        "freshness",
        # 12:00:00 minus 11:59:57.5. Of 100, 200 and 300 ms the median is 200; 99 % of the way from the first to the
        # last is 1.98 steps, 200 + 0.98 x 100.
        """
        feed,complete_as_of,seconds_behind,last_loaded,rows_loaded,quarantined,typical_ms,slow_ms,samples
        payment,,,2026-02-11T11:59:59+00:00,42,1,,,0
        sales_order,2026-02-11T11:59:57.500000+00:00,2.5,2026-02-11T11:59:59+00:00,42,1,200,298,3
        """,
    ),
]

CASES = [*REVENUE, *SALES, *SPEND, *DELIVERY, *PAYMENTS, *CHANGES, *STATE]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.promise)
def test_the_answer_is_the_one_worked_out_by_hand(shop: Star, case: Case) -> None:
    assert as_csv(asked(shop, case.question, **case.typed)) == case.expected


def test_every_question_has_an_answer_worked_out_by_hand() -> None:
    assert {case.question for case in CASES} == set(questions())


RATES = {
    "a currency without a rate is named, and leaves its period without a total": (
        # January: 6,000 dollars of the 11th at the rate from that day on: 4,500; with 5,500 pounds 10,000.
        """
        currency,rate,base,valid_from
        USD,0.80,GBP,
        USD,0.75,GBP,2026-01-11
        """,
        {},
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-01,GBP,2,2500,5500.00,5500.00,to GBP at 1
        2026-01-01,USD,1,2000,6000.00,4500.00,to GBP at 0.75
        2026-01-01,all,3,4500,,10000.00,in GBP
        2026-02-01,EUR,1,1200,2700.00,,no rate for EUR
        2026-02-01,GBP,1,3000,6300.00,6300.00,to GBP at 1
        2026-02-01,all,2,4200,,,no total: a rate is missing for EUR
        """,
    ),
    "orders of one period are converted each at the rate of its day": (
        # 2,500 x 1.20 + 3,000 x 1.20 + 6,300 x 1.25 = 3,000 + 3,600 + 7,875; 6,000 x 0.9; 2,700: together 22,575.
        """
        currency,rate,base,valid_from
        gbp,1.20,EUR,
        GBP,1.25,EUR,2026-02-01
        USD,0.9,EUR,
        """,
        {"by": "year"},
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-01,EUR,1,1200,2700.00,2700.00,to EUR at 1
        2026-01-01,GBP,3,5500,11800.00,14475.00,to EUR at 1.20 to 1.25
        2026-01-01,USD,1,2000,6000.00,5400.00,to EUR at 0.9
        2026-01-01,all,5,8700,,22575.00,in EUR
        """,
    ),
    "a rate that began too late for some orders converts none of them": (
        """
        currency,rate,base,valid_from
        GBP,1.20,EUR,2026-01-12
        USD,0.9,EUR,
        """,
        {"to": "2026-01-31"},
        """
        period,currency,orders,units,revenue,converted,conversion
        2026-01-01,GBP,2,2500,5500.00,,no rate for 1 of 2 orders in GBP
        2026-01-01,USD,1,2000,6000.00,5400.00,to EUR at 0.9
        2026-01-01,all,3,4500,,,no total: a rate is missing for GBP
        """,
    ),
}


@pytest.mark.parametrize("promise", RATES)
def test_with_a_table_of_rates_revenue_is_converted_and_says_how(shop: Star, tmp_path: Path, promise: str) -> None:
    table, typed, answer = RATES[promise]
    rates = tmp_path / "rates.csv"
    rates.write_text(textwrap.dedent(table).lstrip("\n"))

    found = asked(shop, "revenue", rates=str(rates), **typed)

    assert as_csv(found) == textwrap.dedent(answer).lstrip("\n")
