//! The tables that are measured.

/// A table of the source.
#[derive(Debug)]
pub struct Table {
    /// Its name, in the schema `public`.
    pub name: &'static str,
    /// Its columns, as SQL.
    pub columns: &'static str,
    /// The columns of its primary key.
    pub key: &'static str,
    /// The change that gives the changed day, in about every twentieth row.
    pub change: &'static str,
}

/// What one pipeline moves.
#[derive(Debug)]
pub struct Subject {
    /// Its name, also as a source of the lake.
    pub name: &'static str,
    /// Its tables.
    pub tables: &'static [&'static Table],
    /// Whether `psql` can load its files of the lake: there arrays are JSON and bytes bare digits.
    pub plain: bool,
}

impl Table {
    /// Returns the names of the columns.
    pub fn column_names(&self) -> Vec<&'static str> {
        let columns = self.columns.split(", ").map(str::trim_start);
        columns.filter_map(|column| column.split(' ').next()).collect()
    }
}

static LINEITEM_TABLE: Table = Table {
    name: "lineitem",
    columns: "l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber integer, \
              l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), \
              l_tax numeric(15,2), l_returnflag char(1), l_linestatus char(1), l_shipdate date, \
              l_commitdate date, l_receiptdate date, l_shipinstruct varchar(25), \
              l_shipmode varchar(10), l_comment varchar(44)",
    key: "l_orderkey, l_linenumber",
    change: "SET l_quantity = l_quantity + 1 WHERE l_partkey % 20 = 0",
};

static ORDERS_TABLE: Table = Table {
    name: "orders",
    columns: "o_orderkey bigint, o_custkey bigint, o_orderstatus char(1), \
              o_totalprice numeric(15,2), o_orderdate date, o_orderpriority varchar(15), \
              o_clerk varchar(15), o_shippriority integer, o_comment varchar(79)",
    key: "o_orderkey",
    change: "SET o_totalprice = o_totalprice + 1 WHERE o_custkey % 20 = 0",
};

static MIXED_TABLE: Table = Table {
    name: "mixed",
    columns: "id bigint, made_at timestamptz, document jsonb, token uuid, labels text[], \
              payload bytea, active boolean, ratio double precision, note text, title text",
    key: "id",
    change: "SET active = NOT active WHERE id % 20 = 0",
};

static NARROW_TABLE: Table = Table {
    name: "narrow",
    columns: "id bigint, number integer",
    key: "id",
    change: "SET number = number + 1 WHERE id % 20 = 0",
};

/// The table of sales positions of TPC-H.
pub static LINEITEM: Subject =
    Subject { name: "lineitem", tables: &[&LINEITEM_TABLE], plain: true };

/// A table of the types that `lineitem` lacks.
pub static MIXED: Subject = Subject { name: "mixed", tables: &[&MIXED_TABLE], plain: false };

/// Two tables of TPC-H in one run.
pub static TPCH: Subject =
    Subject { name: "tpch", tables: &[&LINEITEM_TABLE, &ORDERS_TABLE], plain: true };

/// `lineitem`, four times as long, in a database of its own.
pub static LARGE: Subject =
    Subject { name: "lineitem-large", tables: &[&LINEITEM_TABLE], plain: true };

/// Rows of two integers, in a database of its own.
pub static NARROW: Subject = Subject { name: "narrow", tables: &[&NARROW_TABLE], plain: true };

/// 1,000 tables of ten rows, in a database of their own.
pub static MANY: Subject = Subject { name: "many tables", tables: &[], plain: true };

/// Every table of the source.
pub static TABLES: [&Table; 3] = [&LINEITEM_TABLE, &ORDERS_TABLE, &MIXED_TABLE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_columns_are_read_from_their_sql() {
        assert_eq!(LINEITEM_TABLE.column_names().len(), 16);
        assert_eq!(LINEITEM_TABLE.column_names()[4..6], ["l_quantity", "l_extendedprice"]);
        assert_eq!(MIXED_TABLE.column_names().last(), Some(&"title"));
    }
}
