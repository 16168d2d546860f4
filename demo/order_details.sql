-- The other source: what was ordered, as a CSV file; order by order, three products at most.
COPY (
    SELECT order_id, product_id, unit_price, 1 + order_id::integer * product_id % 40 AS quantity,
           (ARRAY['0', '0.05', '0.15', '0.2', '0.25'])[1 + order_id % 5]::numeric AS discount
    FROM orders JOIN products ON (order_id + product_id) % 7 <= order_id % 3
    ORDER BY order_id, product_id
) TO STDOUT WITH (FORMAT csv, HEADER)
