-- The oracle's journal: every change of the attacked tables, written in the change's own transaction. The pipeline's
-- login may not see it. A change is silent if last_updated does not say when it was made.
CREATE SCHEMA attack;
CREATE TABLE attack.journal (
    number bigserial PRIMARY KEY,
    name text NOT NULL,
    key int NOT NULL,
    image jsonb,
    silent boolean NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE FUNCTION attack.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    image jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
    key int := (image ->> TG_ARGV[0])::int;
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO attack.journal (name, key, silent) VALUES (TG_TABLE_NAME, key, true);
    ELSE
        INSERT INTO attack.journal (name, key, image, silent)
        VALUES (TG_TABLE_NAME, key, image, NEW.last_updated IS DISTINCT FROM localtimestamp(3));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON sales_order FOR EACH ROW EXECUTE FUNCTION attack.note('sales_order_id');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON staff FOR EACH ROW EXECUTE FUNCTION attack.note('staff_id');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON department FOR EACH ROW EXECUTE FUNCTION attack.note('department_id');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON design FOR EACH ROW EXECUTE FUNCTION attack.note('design_id');
