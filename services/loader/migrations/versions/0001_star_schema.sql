-- A calendar date; rows are made by the loader, for every date a batch needs.
CREATE TABLE "dim_date" (
    "date_id" date CONSTRAINT "dim_date_pkey" PRIMARY KEY,
    "year" int NOT NULL,
    "month" int NOT NULL,
    "day" int NOT NULL,
    "day_of_week" int NOT NULL,
    "day_name" varchar NOT NULL,
    "month_name" varchar NOT NULL,
    "quarter" int NOT NULL
);

-- Staff joined with their department.
CREATE TABLE "dim_staff" (
    "staff_id" int CONSTRAINT "dim_staff_pkey" PRIMARY KEY,
    "first_name" varchar NOT NULL,
    "last_name" varchar NOT NULL,
    "department_name" varchar NOT NULL,
    "location" varchar NOT NULL,
    "email_address" varchar NOT NULL,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- An address, as a place of delivery.
CREATE TABLE "dim_location" (
    "location_id" int CONSTRAINT "dim_location_pkey" PRIMARY KEY,
    "address_line_1" varchar NOT NULL,
    "address_line_2" varchar,
    "district" varchar,
    "city" varchar NOT NULL,
    "postal_code" varchar NOT NULL,
    "country" varchar NOT NULL,
    "phone" varchar NOT NULL,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- A currency with its ISO 4217 name.
CREATE TABLE "dim_currency" (
    "currency_id" int CONSTRAINT "dim_currency_pkey" PRIMARY KEY,
    "currency_code" varchar NOT NULL,
    "currency_name" varchar NOT NULL,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- A design of a tote bag.
CREATE TABLE "dim_design" (
    "design_id" int CONSTRAINT "dim_design_pkey" PRIMARY KEY,
    "design_name" varchar NOT NULL,
    "file_location" varchar NOT NULL,
    "file_name" varchar NOT NULL,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- A counterparty joined with its legal address.
CREATE TABLE "dim_counterparty" (
    "counterparty_id" int CONSTRAINT "dim_counterparty_pkey" PRIMARY KEY,
    "counterparty_legal_name" varchar NOT NULL,
    "counterparty_legal_address_line_1" varchar NOT NULL,
    "counterparty_legal_address_line_2" varchar,
    "counterparty_legal_district" varchar,
    "counterparty_legal_city" varchar NOT NULL,
    "counterparty_legal_postal_code" varchar NOT NULL,
    "counterparty_legal_country" varchar NOT NULL,
    "counterparty_legal_phone_number" varchar NOT NULL,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- A type of payment.
CREATE TABLE "dim_payment_type" (
    "payment_type_id" int CONSTRAINT "dim_payment_type_pkey" PRIMARY KEY,
    "payment_type_name" varchar NOT NULL,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- A transaction; its order ids are no references, because facts are versioned.
CREATE TABLE "dim_transaction" (
    "transaction_id" int CONSTRAINT "dim_transaction_pkey" PRIMARY KEY,
    "transaction_type" varchar NOT NULL,
    "sales_order_id" int,
    "purchase_order_id" int,
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _row_hash bigint,
    _star_hash bigint,
    _seen_at timestamptz,
    _deleted_generation int,
    _deleted_revision bigint,
    _inferred_at timestamptz
);

-- One version of a sales order.
CREATE TABLE "fact_sales_order" (
    "sales_record_id" serial CONSTRAINT "fact_sales_order_pkey" PRIMARY KEY,
    "sales_order_id" int NOT NULL,
    "created_date" date NOT NULL CONSTRAINT "fact_sales_order_created_date_fkey" REFERENCES "dim_date",
    "created_time" time NOT NULL,
    "last_updated_date" date NOT NULL CONSTRAINT "fact_sales_order_last_updated_date_fkey" REFERENCES "dim_date",
    "last_updated_time" time NOT NULL,
    "sales_staff_id" int NOT NULL CONSTRAINT "fact_sales_order_sales_staff_id_fkey" REFERENCES "dim_staff",
    "counterparty_id" int NOT NULL CONSTRAINT "fact_sales_order_counterparty_id_fkey" REFERENCES "dim_counterparty",
    "units_sold" int NOT NULL,
    "unit_price" numeric(10, 2) NOT NULL,
    "currency_id" int NOT NULL CONSTRAINT "fact_sales_order_currency_id_fkey" REFERENCES "dim_currency",
    "design_id" int NOT NULL CONSTRAINT "fact_sales_order_design_id_fkey" REFERENCES "dim_design",
    "agreed_payment_date" date NOT NULL CONSTRAINT "fact_sales_order_agreed_payment_date_fkey" REFERENCES "dim_date",
    "agreed_delivery_date" date NOT NULL CONSTRAINT "fact_sales_order_agreed_delivery_date_fkey" REFERENCES "dim_date",
    "agreed_delivery_location_id" int NOT NULL CONSTRAINT "fact_sales_order_agreed_delivery_location_id_fkey" REFERENCES "dim_location",
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _star_hash bigint NOT NULL,
    CONSTRAINT "fact_sales_order_version" UNIQUE ("sales_order_id", _generation, _revision, _contract)
);

-- One version of a purchase order.
CREATE TABLE "fact_purchase_order" (
    "purchase_record_id" serial CONSTRAINT "fact_purchase_order_pkey" PRIMARY KEY,
    "purchase_order_id" int NOT NULL,
    "created_date" date NOT NULL CONSTRAINT "fact_purchase_order_created_date_fkey" REFERENCES "dim_date",
    "created_time" time NOT NULL,
    "last_updated_date" date NOT NULL CONSTRAINT "fact_purchase_order_last_updated_date_fkey" REFERENCES "dim_date",
    "last_updated_time" time NOT NULL,
    "staff_id" int NOT NULL CONSTRAINT "fact_purchase_order_staff_id_fkey" REFERENCES "dim_staff",
    "counterparty_id" int NOT NULL CONSTRAINT "fact_purchase_order_counterparty_id_fkey" REFERENCES "dim_counterparty",
    "item_code" varchar NOT NULL,
    "item_quantity" int NOT NULL,
    "item_unit_price" numeric NOT NULL,
    "currency_id" int NOT NULL CONSTRAINT "fact_purchase_order_currency_id_fkey" REFERENCES "dim_currency",
    "agreed_delivery_date" date NOT NULL CONSTRAINT "fact_purchase_order_agreed_delivery_date_fkey" REFERENCES "dim_date",
    "agreed_payment_date" date NOT NULL CONSTRAINT "fact_purchase_order_agreed_payment_date_fkey" REFERENCES "dim_date",
    "agreed_delivery_location_id" int NOT NULL CONSTRAINT "fact_purchase_order_agreed_delivery_location_id_fkey" REFERENCES "dim_location",
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _star_hash bigint NOT NULL,
    CONSTRAINT "fact_purchase_order_version" UNIQUE ("purchase_order_id", _generation, _revision, _contract)
);

-- One version of a payment.
CREATE TABLE "fact_payment" (
    "payment_record_id" serial CONSTRAINT "fact_payment_pkey" PRIMARY KEY,
    "payment_id" int NOT NULL,
    "created_date" date NOT NULL CONSTRAINT "fact_payment_created_date_fkey" REFERENCES "dim_date",
    "created_time" time NOT NULL,
    "last_updated_date" date NOT NULL CONSTRAINT "fact_payment_last_updated_date_fkey" REFERENCES "dim_date",
    "last_updated_time" time NOT NULL,
    "transaction_id" int NOT NULL CONSTRAINT "fact_payment_transaction_id_fkey" REFERENCES "dim_transaction",
    "counterparty_id" int NOT NULL CONSTRAINT "fact_payment_counterparty_id_fkey" REFERENCES "dim_counterparty",
    "payment_amount" numeric NOT NULL,
    "currency_id" int NOT NULL CONSTRAINT "fact_payment_currency_id_fkey" REFERENCES "dim_currency",
    "payment_type_id" int NOT NULL CONSTRAINT "fact_payment_payment_type_id_fkey" REFERENCES "dim_payment_type",
    "paid" boolean NOT NULL,
    "payment_date" date NOT NULL CONSTRAINT "fact_payment_payment_date_fkey" REFERENCES "dim_date",
    _generation int NOT NULL,
    _revision bigint NOT NULL,
    _contract int NOT NULL,
    _star_hash bigint NOT NULL,
    CONSTRAINT "fact_payment_version" UNIQUE ("payment_id", _generation, _revision, _contract)
);

-- Every observation of a sales_order: its position, and no star hash where it was found deleted.
CREATE TABLE "_seen_sales_order" (
    key int NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    contract int NOT NULL,
    row_hash bigint,
    star_hash bigint,
    seen_at timestamptz NOT NULL,
    CONSTRAINT "_seen_sales_order_pkey" PRIMARY KEY (key, generation, revision, contract)
);

-- The views ask whether a deletion came later.
CREATE INDEX "_seen_sales_order_deleted" ON "_seen_sales_order" (key, generation, revision, contract) WHERE star_hash IS NULL;

-- Every observation of a purchase_order: its position, and no star hash where it was found deleted.
CREATE TABLE "_seen_purchase_order" (
    key int NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    contract int NOT NULL,
    row_hash bigint,
    star_hash bigint,
    seen_at timestamptz NOT NULL,
    CONSTRAINT "_seen_purchase_order_pkey" PRIMARY KEY (key, generation, revision, contract)
);

-- The views ask whether a deletion came later.
CREATE INDEX "_seen_purchase_order_deleted" ON "_seen_purchase_order" (key, generation, revision, contract) WHERE star_hash IS NULL;

-- Every observation of a payment: its position, and no star hash where it was found deleted.
CREATE TABLE "_seen_payment" (
    key int NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    contract int NOT NULL,
    row_hash bigint,
    star_hash bigint,
    seen_at timestamptz NOT NULL,
    CONSTRAINT "_seen_payment_pkey" PRIMARY KEY (key, generation, revision, contract)
);

-- The views ask whether a deletion came later.
CREATE INDEX "_seen_payment_deleted" ON "_seen_payment" (key, generation, revision, contract) WHERE star_hash IS NULL;

-- Every load batch that was committed, with its snapshot and its clocks.
CREATE TABLE _load_batch (
    id text CONSTRAINT _load_batch_pkey PRIMARY KEY,
    change_batch text NOT NULL,
    feed text NOT NULL,
    star_table text NOT NULL,
    operation text NOT NULL,
    origin text NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    contract int NOT NULL,
    page bigint NOT NULL,
    since timestamptz,
    as_of timestamptz NOT NULL,
    rows bigint NOT NULL,
    quarantined bigint NOT NULL,
    object_key text NOT NULL,
    loaded_at timestamptz NOT NULL
);

-- The freshness view reads the latest load batches of a feed.
CREATE INDEX _load_batch_feed ON _load_batch (feed, loaded_at);

-- Operators ask what was loaded lately, over all feeds.
CREATE INDEX _load_batch_loaded_at ON _load_batch (loaded_at);

-- Whether a change batch has arrived.
CREATE INDEX _load_batch_change_batch ON _load_batch (change_batch);

-- What is known of each feed: totals, and the time zone of its newest snapshot.
CREATE TABLE _feed (
    feed text CONSTRAINT _feed_pkey PRIMARY KEY,
    star_table text NOT NULL,
    time_zone text NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    as_of timestamptz NOT NULL,
    last_loaded timestamptz NOT NULL,
    rows_loaded bigint NOT NULL,
    quarantined bigint NOT NULL
);

-- One row for each live sales_order: no later version, no later deletion.
CREATE VIEW "current_sales_order" AS
SELECT f."sales_record_id", f."sales_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."sales_staff_id", f."counterparty_id", f."units_sold", f."unit_price", f."currency_id", f."design_id", f."agreed_payment_date", f."agreed_delivery_date", f."agreed_delivery_location_id"
  FROM "fact_sales_order" f
 WHERE NOT EXISTS (SELECT FROM "fact_sales_order" n
                    WHERE n."sales_order_id" = f."sales_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract))
   AND NOT EXISTS (SELECT FROM "_seen_sales_order" d
                    WHERE d.star_hash IS NULL AND d.key = f."sales_order_id"
                      AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract));

-- Every version of a sales_order: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW "history_sales_order" AS
SELECT f."sales_record_id", f."sales_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."sales_staff_id", f."counterparty_id", f."units_sold", f."unit_price", f."currency_id", f."design_id", f."agreed_payment_date", f."agreed_delivery_date", f."agreed_delivery_location_id",
       CASE WHEN EXISTS (SELECT FROM "_seen_sales_order" p
                          WHERE p.key = f."sales_order_id" AND (p.generation, p.revision, p.contract) < (f._generation, f._revision, f._contract))
            THEN s.seen_at
            ELSE LEAST(s.seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = 'sales_order'), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM "fact_sales_order" f
  JOIN "_seen_sales_order" s ON (s.key, s.generation, s.revision, s.contract) = (f."sales_order_id", f._generation, f._revision, f._contract)
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT d.generation, d.revision, d.contract, d.seen_at, 'deleted' AS ended_by
                  FROM "_seen_sales_order" d
                 WHERE d.star_hash IS NULL AND d.key = f."sales_order_id" AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract)
                 ORDER BY d.generation, d.revision, d.contract
                 LIMIT 1)
               UNION ALL
               (SELECT o.generation, o.revision, o.contract, o.seen_at, 'changed'
                  FROM "fact_sales_order" n
                  JOIN "_seen_sales_order" o ON (o.key, o.generation, o.revision, o.contract) = (n."sales_order_id", n._generation, n._revision, n._contract)
                 WHERE n."sales_order_id" = f."sales_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract)
                 ORDER BY n._generation, n._revision, n._contract
                 LIMIT 1)) e
        ORDER BY e.generation, e.revision, e.contract
        LIMIT 1) ended ON true;

-- One row for each live purchase_order: no later version, no later deletion.
CREATE VIEW "current_purchase_order" AS
SELECT f."purchase_record_id", f."purchase_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."staff_id", f."counterparty_id", f."item_code", f."item_quantity", f."item_unit_price", f."currency_id", f."agreed_delivery_date", f."agreed_payment_date", f."agreed_delivery_location_id"
  FROM "fact_purchase_order" f
 WHERE NOT EXISTS (SELECT FROM "fact_purchase_order" n
                    WHERE n."purchase_order_id" = f."purchase_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract))
   AND NOT EXISTS (SELECT FROM "_seen_purchase_order" d
                    WHERE d.star_hash IS NULL AND d.key = f."purchase_order_id"
                      AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract));

-- Every version of a purchase_order: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW "history_purchase_order" AS
SELECT f."purchase_record_id", f."purchase_order_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."staff_id", f."counterparty_id", f."item_code", f."item_quantity", f."item_unit_price", f."currency_id", f."agreed_delivery_date", f."agreed_payment_date", f."agreed_delivery_location_id",
       CASE WHEN EXISTS (SELECT FROM "_seen_purchase_order" p
                          WHERE p.key = f."purchase_order_id" AND (p.generation, p.revision, p.contract) < (f._generation, f._revision, f._contract))
            THEN s.seen_at
            ELSE LEAST(s.seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = 'purchase_order'), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM "fact_purchase_order" f
  JOIN "_seen_purchase_order" s ON (s.key, s.generation, s.revision, s.contract) = (f."purchase_order_id", f._generation, f._revision, f._contract)
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT d.generation, d.revision, d.contract, d.seen_at, 'deleted' AS ended_by
                  FROM "_seen_purchase_order" d
                 WHERE d.star_hash IS NULL AND d.key = f."purchase_order_id" AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract)
                 ORDER BY d.generation, d.revision, d.contract
                 LIMIT 1)
               UNION ALL
               (SELECT o.generation, o.revision, o.contract, o.seen_at, 'changed'
                  FROM "fact_purchase_order" n
                  JOIN "_seen_purchase_order" o ON (o.key, o.generation, o.revision, o.contract) = (n."purchase_order_id", n._generation, n._revision, n._contract)
                 WHERE n."purchase_order_id" = f."purchase_order_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract)
                 ORDER BY n._generation, n._revision, n._contract
                 LIMIT 1)) e
        ORDER BY e.generation, e.revision, e.contract
        LIMIT 1) ended ON true;

-- One row for each live payment: no later version, no later deletion.
CREATE VIEW "current_payment" AS
SELECT f."payment_record_id", f."payment_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."transaction_id", f."counterparty_id", f."payment_amount", f."currency_id", f."payment_type_id", f."paid", f."payment_date"
  FROM "fact_payment" f
 WHERE NOT EXISTS (SELECT FROM "fact_payment" n
                    WHERE n."payment_id" = f."payment_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract))
   AND NOT EXISTS (SELECT FROM "_seen_payment" d
                    WHERE d.star_hash IS NULL AND d.key = f."payment_id"
                      AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract));

-- Every version of a payment: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW "history_payment" AS
SELECT f."payment_record_id", f."payment_id", f."created_date", f."created_time", f."last_updated_date", f."last_updated_time", f."transaction_id", f."counterparty_id", f."payment_amount", f."currency_id", f."payment_type_id", f."paid", f."payment_date",
       CASE WHEN EXISTS (SELECT FROM "_seen_payment" p
                          WHERE p.key = f."payment_id" AND (p.generation, p.revision, p.contract) < (f._generation, f._revision, f._contract))
            THEN s.seen_at
            ELSE LEAST(s.seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = 'payment'), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM "fact_payment" f
  JOIN "_seen_payment" s ON (s.key, s.generation, s.revision, s.contract) = (f."payment_id", f._generation, f._revision, f._contract)
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT d.generation, d.revision, d.contract, d.seen_at, 'deleted' AS ended_by
                  FROM "_seen_payment" d
                 WHERE d.star_hash IS NULL AND d.key = f."payment_id" AND (d.generation, d.revision, d.contract) > (f._generation, f._revision, f._contract)
                 ORDER BY d.generation, d.revision, d.contract
                 LIMIT 1)
               UNION ALL
               (SELECT o.generation, o.revision, o.contract, o.seen_at, 'changed'
                  FROM "fact_payment" n
                  JOIN "_seen_payment" o ON (o.key, o.generation, o.revision, o.contract) = (n."payment_id", n._generation, n._revision, n._contract)
                 WHERE n."payment_id" = f."payment_id" AND (n._generation, n._revision, n._contract) > (f._generation, f._revision, f._contract)
                 ORDER BY n._generation, n._revision, n._contract
                 LIMIT 1)) e
        ORDER BY e.generation, e.revision, e.contract
        LIMIT 1) ended ON true;

-- Each feed: how far it is loaded, and how fresh its last 1000 polls and scans with rows were at their commit.
CREATE VIEW freshness AS
SELECT f.feed, f.star_table, f.as_of, f.last_loaded, f.rows_loaded, f.quarantined, f.generation, f.revision,
       recent.p50_ms, recent.p99_ms, recent.samples
  FROM _feed f CROSS JOIN LATERAL (
       SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50_ms,
              percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99_ms,
              count(*) AS samples
         FROM (SELECT CAST(extract(epoch FROM b.loaded_at - b.since) * 1000 AS double precision) AS ms
                 FROM _load_batch b
                WHERE b.feed = f.feed AND b.origin IN ('poll', 'scan') AND b.since IS NOT NULL AND b.rows > 0
                ORDER BY b.loaded_at DESC
                LIMIT 1000) sample) recent;
