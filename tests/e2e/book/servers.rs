//! The servers that pages read from.

use serde_json::{Value, json};

use support::sshd::Sshd;
use support::web::{Asked, Reply, Web};

/// The API `https://shop.example.com/v2`.
pub fn api() -> Web {
    Web::start(answer)
}

fn answer(asked: &Asked) -> Reply {
    let page = |name: &str| asked.param(name).and_then(|page| page.parse::<usize>().ok());
    let customer = |id: usize| json!({ "id": id, "name": format!("Customer {id}") });
    let answer = match asked.path() {
        "/v2/orders" => orders(page("cursor").unwrap_or(1)),
        "/v2/customers" => match page("page").unwrap_or(1) {
            page @ 1..=2 => json!([customer(page * 2 - 1), customer(page * 2)]),
            _ => json!([]),
        },
        _ => return Reply::status(404),
    };
    Reply::json(&answer)
}

/// Two pages of two orders each.
fn orders(page: usize) -> Value {
    let order = |id: usize| {
        let day = 29 + id / 2;
        json!({ "id": id, "updated_at": format!("2026-01-{day}T08:00:00Z"), "total": "12.50" })
    };
    let cursor = if page == 1 { json!("2") } else { Value::Null };
    json!({ "data": [order(page * 2 - 1), order(page * 2)], "meta": { "cursor": cursor } })
}

/// The server `sftp.example.com`, with a file of each of two days.
pub fn sftp() -> Sshd {
    let server = Sshd::start();
    let orders = ["order_id,total\n1,12.50\n2,8.00\n", "order_id,total\n3,1.25\n"];
    server.put("/in/orders-2026-01-30.csv", orders[0]);
    server.put("/in/orders-2026-01-31.csv.gz", gzip(orders[1]));
    server
}

fn gzip(text: &str) -> Vec<u8> {
    let zipped = support::run::Run::new("/bin/gzip".as_ref()).args(["-c"]).input(text).go();
    zipped.success().stdout
}
