-- The question that needs both sources: what was sold, to whom, and when.
SELECT count(*) AS lines,
       count(DISTINCT order_id) AS orders,
       count(*) FILTER (WHERE shipped_date IS NULL) AS not_shipped,
       round(sum(unit_price::numeric * quantity * (1 - discount::numeric)), 2) AS revenue,
       min(order_date) AS first_day,
       max(order_date) AS last_day
FROM order_details JOIN orders USING (order_id);
