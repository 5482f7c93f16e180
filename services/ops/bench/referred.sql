-- Rows of totesys that the load's rows refer to, numbered from 1. None of them changes.
INSERT INTO currency (currency_id, currency_code) VALUES (1, 'GBP'), (2, 'USD'), (3, 'EUR');
INSERT INTO payment_type (payment_type_id, payment_type_name)
VALUES (1, 'SALES_RECEIPT'), (2, 'SALES_REFUND'), (3, 'PURCHASE_PAYMENT'), (4, 'PURCHASE_REFUND');
INSERT INTO department (department_id, department_name, location, manager)
SELECT n, 'Department ' || n, 'Leeds', 'Manager ' || n FROM generate_series(1, 5) AS n;
INSERT INTO staff (staff_id, first_name, last_name, department_id, email_address)
SELECT n, 'Person', 'Number ' || n, 1 + n % 5, '0' FROM generate_series(1, 20) AS n;
INSERT INTO address (address_id, address_line_1, city, postal_code, country, phone)
SELECT n, n || ' Tote Street', 'Leeds', 'LS1 ' || n, 'United Kingdom', '0113 ' || n FROM generate_series(1, 20) AS n;
INSERT INTO counterparty (counterparty_id, counterparty_legal_name, legal_address_id)
SELECT n, 'Counterparty ' || n, n FROM generate_series(1, 20) AS n;
INSERT INTO design (design_id, design_name, file_location, file_name)
SELECT n, 'Design ' || n, '/usr', '0' FROM generate_series(1, 20) AS n;
INSERT INTO sales_order (sales_order_id, design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,
                         agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT n, n, n, n, 0, 2.50, 1, '2030-01-01', '2030-01-02', n FROM generate_series(1, 20) AS n;
INSERT INTO transaction (transaction_id, transaction_type, sales_order_id)
SELECT n, 'SALE', n FROM generate_series(1, 20) AS n;
