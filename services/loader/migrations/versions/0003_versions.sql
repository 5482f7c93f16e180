-- A version is its own observation: where and when it was seen moves into the fact, and bookkeeping keeps what made no
-- version. A row of the fact that nobody observed is taken as seen now. `_seen_…` shows every observation, as before.

ALTER TABLE "fact_sales_order" ADD COLUMN _row_hash bigint, ADD COLUMN _seen_at timestamptz;

UPDATE "fact_sales_order" f SET (_row_hash, _seen_at) = (s.row_hash, s.seen_at)
  FROM "_seen_sales_order" s
 WHERE (f."sales_order_id", f._generation, f._revision, f._contract) = (s.key, s.generation, s.revision, s.contract);

UPDATE "fact_sales_order" SET _seen_at = now() WHERE _seen_at IS NULL;

ALTER TABLE "fact_sales_order" ALTER COLUMN _seen_at SET NOT NULL;

DELETE FROM "_seen_sales_order" s USING "fact_sales_order" f
 WHERE (f."sales_order_id", f._generation, f._revision, f._contract) = (s.key, s.generation, s.revision, s.contract)
   AND f._star_hash = s.star_hash;

DROP VIEW "history_sales_order", "current_sales_order";

ALTER TABLE "_seen_sales_order" RENAME TO "_unversioned_sales_order";

ALTER TABLE "_unversioned_sales_order" RENAME CONSTRAINT "_seen_sales_order_pkey" TO "_unversioned_sales_order_pkey";

ALTER INDEX "_seen_sales_order_deleted" RENAME TO "_unversioned_sales_order_deleted";

ALTER TABLE "fact_purchase_order" ADD COLUMN _row_hash bigint, ADD COLUMN _seen_at timestamptz;

UPDATE "fact_purchase_order" f SET (_row_hash, _seen_at) = (s.row_hash, s.seen_at)
  FROM "_seen_purchase_order" s
 WHERE (f."purchase_order_id", f._generation, f._revision, f._contract) = (s.key, s.generation, s.revision, s.contract);

UPDATE "fact_purchase_order" SET _seen_at = now() WHERE _seen_at IS NULL;

ALTER TABLE "fact_purchase_order" ALTER COLUMN _seen_at SET NOT NULL;

DELETE FROM "_seen_purchase_order" s USING "fact_purchase_order" f
 WHERE (f."purchase_order_id", f._generation, f._revision, f._contract) = (s.key, s.generation, s.revision, s.contract)
   AND f._star_hash = s.star_hash;

DROP VIEW "history_purchase_order", "current_purchase_order";

ALTER TABLE "_seen_purchase_order" RENAME TO "_unversioned_purchase_order";

ALTER TABLE "_unversioned_purchase_order" RENAME CONSTRAINT "_seen_purchase_order_pkey" TO "_unversioned_purchase_order_pkey";

ALTER INDEX "_seen_purchase_order_deleted" RENAME TO "_unversioned_purchase_order_deleted";

ALTER TABLE "fact_payment" ADD COLUMN _row_hash bigint, ADD COLUMN _seen_at timestamptz;

UPDATE "fact_payment" f SET (_row_hash, _seen_at) = (s.row_hash, s.seen_at)
  FROM "_seen_payment" s
 WHERE (f."payment_id", f._generation, f._revision, f._contract) = (s.key, s.generation, s.revision, s.contract);

UPDATE "fact_payment" SET _seen_at = now() WHERE _seen_at IS NULL;

ALTER TABLE "fact_payment" ALTER COLUMN _seen_at SET NOT NULL;

DELETE FROM "_seen_payment" s USING "fact_payment" f
 WHERE (f."payment_id", f._generation, f._revision, f._contract) = (s.key, s.generation, s.revision, s.contract)
   AND f._star_hash = s.star_hash;

DROP VIEW "history_payment", "current_payment";

ALTER TABLE "_seen_payment" RENAME TO "_unversioned_payment";

ALTER TABLE "_unversioned_payment" RENAME CONSTRAINT "_seen_payment_pkey" TO "_unversioned_payment_pkey";

ALTER INDEX "_seen_payment_deleted" RENAME TO "_unversioned_payment_deleted";

-- What somebody deletes or moves in a fact by hand stays an observation, so that a reconcile gives the version back.
CREATE FUNCTION _keep_observations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %1$I.%2$I (key, generation, revision, contract, row_hash, star_hash, seen_at)
         SELECT %3$I, _generation, _revision, _contract, _row_hash, _star_hash, _seen_at FROM %4$s g
          WHERE NOT EXISTS (SELECT FROM %1$I.%5$I f
                             WHERE (f.%3$I, f._generation, f._revision, f._contract, f._star_hash)
                                 = (g.%3$I, g._generation, g._revision, g._contract, g._star_hash))
             OR %6$L = ''TRUNCATE''
             ON CONFLICT DO NOTHING',
        TG_TABLE_SCHEMA, TG_ARGV[0], TG_ARGV[1],
        CASE TG_OP WHEN 'TRUNCATE' THEN format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) ELSE 'gone' END,
        TG_TABLE_NAME, TG_OP);
    RETURN NULL;
END $$;

CREATE TRIGGER "fact_sales_order_deleted" AFTER DELETE ON "fact_sales_order" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_sales_order', 'sales_order_id');

CREATE TRIGGER "fact_sales_order_updated" AFTER UPDATE ON "fact_sales_order" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_sales_order', 'sales_order_id');

CREATE TRIGGER "fact_sales_order_truncated" BEFORE TRUNCATE ON "fact_sales_order"
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_sales_order', 'sales_order_id');

CREATE TRIGGER "fact_purchase_order_deleted" AFTER DELETE ON "fact_purchase_order" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_purchase_order', 'purchase_order_id');

CREATE TRIGGER "fact_purchase_order_updated" AFTER UPDATE ON "fact_purchase_order" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_purchase_order', 'purchase_order_id');

CREATE TRIGGER "fact_purchase_order_truncated" BEFORE TRUNCATE ON "fact_purchase_order"
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_purchase_order', 'purchase_order_id');

CREATE TRIGGER "fact_payment_deleted" AFTER DELETE ON "fact_payment" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_payment', 'payment_id');

CREATE TRIGGER "fact_payment_updated" AFTER UPDATE ON "fact_payment" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_payment', 'payment_id');

CREATE TRIGGER "fact_payment_truncated" BEFORE TRUNCATE ON "fact_payment"
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations('_unversioned_payment', 'payment_id');

-- Every observation of a sales_order: versions, and what made none. Without a star hash it was found deleted.
CREATE VIEW "_seen_sales_order" AS
SELECT key, generation, revision, contract, row_hash, star_hash, seen_at FROM "_unversioned_sales_order"
UNION ALL
SELECT "sales_order_id", _generation, _revision, _contract, _row_hash, _star_hash, _seen_at FROM "fact_sales_order";

-- One row for each live sales_order: no later version, no later deletion.
CREATE VIEW "current_sales_order" AS
SELECT f."sales_record_id", f."sales_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."sales_staff_id", f."counterparty_id", f."units_sold", f."unit_price", f."currency_id", f."design_id", f."agreed_payment_date", f."agreed_delivery_date", f."agreed_delivery_location_id"
  FROM "fact_sales_order" f
 WHERE NOT EXISTS (SELECT FROM "fact_sales_order" n
                    WHERE n."sales_order_id" = f."sales_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract))
   AND NOT EXISTS (SELECT FROM "_unversioned_sales_order" d
                    WHERE d.star_hash IS NULL AND d.key = f."sales_order_id"
                      AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract));

-- Every version of a sales_order: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW "history_sales_order" AS
SELECT f."sales_record_id", f."sales_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."sales_staff_id", f."counterparty_id", f."units_sold", f."unit_price", f."currency_id", f."design_id", f."agreed_payment_date", f."agreed_delivery_date", f."agreed_delivery_location_id",
       CASE WHEN EXISTS (SELECT FROM "fact_sales_order" p
                          WHERE p."sales_order_id" = f."sales_order_id" AND (p._generation, p._revision, p._contract) < (f._generation, f._revision, f._contract))
              OR EXISTS (SELECT FROM "_unversioned_sales_order" p
                          WHERE p.key = f."sales_order_id" AND (p.generation, p.revision, p.contract) < (f._generation, f._revision, f._contract))
            THEN f._seen_at
            ELSE LEAST(f._seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = 'sales_order'), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM "fact_sales_order" f
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT d.generation, d.revision, d.contract, d.seen_at, 'deleted' AS ended_by
                  FROM "_unversioned_sales_order" d
                 WHERE d.star_hash IS NULL AND d.key = f."sales_order_id" AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract)
                 ORDER BY d.generation, d.revision, d.contract
                 LIMIT 1)
               UNION ALL
               (SELECT n._generation, n._revision, n._contract, n._seen_at, 'changed'
                  FROM "fact_sales_order" n
                 WHERE n."sales_order_id" = f."sales_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract)
                 ORDER BY n._generation, n._revision, n._contract
                 LIMIT 1)) e
        ORDER BY e.generation, e.revision, e.contract
        LIMIT 1) ended ON true;

-- Every observation of a purchase_order: versions, and what made none. Without a star hash it was found deleted.
CREATE VIEW "_seen_purchase_order" AS
SELECT key, generation, revision, contract, row_hash, star_hash, seen_at FROM "_unversioned_purchase_order"
UNION ALL
SELECT "purchase_order_id", _generation, _revision, _contract, _row_hash, _star_hash, _seen_at FROM "fact_purchase_order";

-- One row for each live purchase_order: no later version, no later deletion.
CREATE VIEW "current_purchase_order" AS
SELECT f."purchase_record_id", f."purchase_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."staff_id", f."counterparty_id", f."item_code", f."item_quantity", f."item_unit_price", f."currency_id", f."agreed_delivery_date", f."agreed_payment_date", f."agreed_delivery_location_id"
  FROM "fact_purchase_order" f
 WHERE NOT EXISTS (SELECT FROM "fact_purchase_order" n
                    WHERE n."purchase_order_id" = f."purchase_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract))
   AND NOT EXISTS (SELECT FROM "_unversioned_purchase_order" d
                    WHERE d.star_hash IS NULL AND d.key = f."purchase_order_id"
                      AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract));

-- Every version of a purchase_order: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW "history_purchase_order" AS
SELECT f."purchase_record_id", f."purchase_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."staff_id", f."counterparty_id", f."item_code", f."item_quantity", f."item_unit_price", f."currency_id", f."agreed_delivery_date", f."agreed_payment_date", f."agreed_delivery_location_id",
       CASE WHEN EXISTS (SELECT FROM "fact_purchase_order" p
                          WHERE p."purchase_order_id" = f."purchase_order_id" AND (p._generation, p._revision, p._contract) < (f._generation, f._revision, f._contract))
              OR EXISTS (SELECT FROM "_unversioned_purchase_order" p
                          WHERE p.key = f."purchase_order_id" AND (p.generation, p.revision, p.contract) < (f._generation, f._revision, f._contract))
            THEN f._seen_at
            ELSE LEAST(f._seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = 'purchase_order'), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM "fact_purchase_order" f
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT d.generation, d.revision, d.contract, d.seen_at, 'deleted' AS ended_by
                  FROM "_unversioned_purchase_order" d
                 WHERE d.star_hash IS NULL AND d.key = f."purchase_order_id" AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract)
                 ORDER BY d.generation, d.revision, d.contract
                 LIMIT 1)
               UNION ALL
               (SELECT n._generation, n._revision, n._contract, n._seen_at, 'changed'
                  FROM "fact_purchase_order" n
                 WHERE n."purchase_order_id" = f."purchase_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract)
                 ORDER BY n._generation, n._revision, n._contract
                 LIMIT 1)) e
        ORDER BY e.generation, e.revision, e.contract
        LIMIT 1) ended ON true;

-- Every observation of a payment: versions, and what made none. Without a star hash it was found deleted.
CREATE VIEW "_seen_payment" AS
SELECT key, generation, revision, contract, row_hash, star_hash, seen_at FROM "_unversioned_payment"
UNION ALL
SELECT "payment_id", _generation, _revision, _contract, _row_hash, _star_hash, _seen_at FROM "fact_payment";

-- One row for each live payment: no later version, no later deletion.
CREATE VIEW "current_payment" AS
SELECT f."payment_record_id", f."payment_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."transaction_id", f."counterparty_id", f."payment_amount", f."currency_id", f."payment_type_id", f."paid", f."payment_date"
  FROM "fact_payment" f
 WHERE NOT EXISTS (SELECT FROM "fact_payment" n
                    WHERE n."payment_id" = f."payment_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract))
   AND NOT EXISTS (SELECT FROM "_unversioned_payment" d
                    WHERE d.star_hash IS NULL AND d.key = f."payment_id"
                      AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract));

-- Every version of a payment: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW "history_payment" AS
SELECT f."payment_record_id", f."payment_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."transaction_id", f."counterparty_id", f."payment_amount", f."currency_id", f."payment_type_id", f."paid", f."payment_date",
       CASE WHEN EXISTS (SELECT FROM "fact_payment" p
                          WHERE p."payment_id" = f."payment_id" AND (p._generation, p._revision, p._contract) < (f._generation, f._revision, f._contract))
              OR EXISTS (SELECT FROM "_unversioned_payment" p
                          WHERE p.key = f."payment_id" AND (p.generation, p.revision, p.contract) < (f._generation, f._revision, f._contract))
            THEN f._seen_at
            ELSE LEAST(f._seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = 'payment'), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM "fact_payment" f
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT d.generation, d.revision, d.contract, d.seen_at, 'deleted' AS ended_by
                  FROM "_unversioned_payment" d
                 WHERE d.star_hash IS NULL AND d.key = f."payment_id" AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract)
                 ORDER BY d.generation, d.revision, d.contract
                 LIMIT 1)
               UNION ALL
               (SELECT n._generation, n._revision, n._contract, n._seen_at, 'changed'
                  FROM "fact_payment" n
                 WHERE n."payment_id" = f."payment_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract)
                 ORDER BY n._generation, n._revision, n._contract
                 LIMIT 1)) e
        ORDER BY e.generation, e.revision, e.contract
        LIMIT 1) ended ON true;
