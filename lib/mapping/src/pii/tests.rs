//! What is found in columns, by names and values.

use super::*;

fn find(name: &str, values: &[&str]) -> Option<(Kind, Sure)> {
    let mut seen = Seen::default();
    for value in values {
        seen.take(value);
    }
    let finding = seen.finding(name)?;
    // No value is told.
    assert!(values.iter().all(|value| value.len() < 4 || !finding.why.contains(value)));
    Some((finding.kind, finding.sure))
}

#[test]
fn columns_are_found_by_names_values_or_both() {
    let mails = ["ann@example.com", "bob@example.org", "", "c@d.example"];
    let cards = [
        "4111111111111111",
        "5555555555554444",
        "4012888888881881",
        "378282246310005",
        "6011111111111117",
    ];
    let ids = ["86095742719", "47036892816", "65929970489", "57549285017", "25768131411"];
    for (name, values, expected) in [
        ("email", &mails[..], Some((Kind::Mail, Sure::High))),
        ("x", &mails, Some((Kind::Mail, Sure::High))),
        ("email", &[], Some((Kind::Mail, Sure::Medium))),
        ("x", &["ann@example.com", "a", "b", "c"], Some((Kind::Mail, Sure::Medium))),
        (
            "note",
            &["call ann@example.com", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
            Some((Kind::Mail, Sure::Low)),
        ),
        ("x", &cards, Some((Kind::Card, Sure::High))),
        ("x", &cards[..2], Some((Kind::Card, Sure::Medium))),
        ("x", &ids, Some((Kind::NationalId, Sure::High))),
        ("x", &ids[..2], Some((Kind::NationalId, Sure::Low))),
        ("tax_id", &ids[..2], Some((Kind::NationalId, Sure::High))),
        ("x", &["DE89370400440532013000"], Some((Kind::Iban, Sure::High))),
        ("x", &["10.1.2.3", "10.1.2.4"], Some((Kind::NetworkAddress, Sure::High))),
        ("x", &["+49 171 2345678"], Some((Kind::Phone, Sure::Low))),
        ("phone", &["+49 171 2345678"], Some((Kind::Phone, Sure::High))),
        ("born", &["1984-05-17"], Some((Kind::BirthDate, Sure::Medium))),
        (
            "x",
            &["1934-05-17", "1984-05-17", "1990-01-01", "2001-01-01", "1977-01-01"],
            Some((Kind::BirthDate, Sure::Low)),
        ),
        ("x", &["Anna", "Bob", "Zed"], Some((Kind::Name, Sure::Medium))),
        ("first_name", &["Anna", "Bob", "Zed"], Some((Kind::Name, Sure::High))),
        ("x", &["06 12 34 56 78", "01.23.45.67.89", "0612345678"], Some((Kind::Phone, Sure::Low))),
        ("telephone", &["0612345678"], Some((Kind::Phone, Sure::High))),
        ("x", &["0033612345678", "0049 171 2345678"], Some((Kind::Phone, Sure::Low))),
        ("v", &["de89370400440532013000", "nl91abna0417164300"], Some((Kind::Iban, Sure::High))),
        ("v", &["jörg@müller.de", "anna@пример.рф"], Some((Kind::Mail, Sure::High))),
        ("version", &["10.1.2.3", "1.2.3.4", "2.0.0.1"], None),
        ("client_version", &["10.1.2.3", "1.2.3.4"], None),
        ("phone_model", &["iPhone", "Pixel"], None),
        ("ship_name", &["Maria", "Titanic", "Bounty"], None),
        ("x", &["Maria", "Titanic", "Bounty"], None),
        ("amount", &["1", "22", "333", "4444", "55555"], None),
        ("ordered", &["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"], None),
        ("status", &["open", "closed"], None),
        ("id", &["1", "2", "3", "4", "5", "6", "7"], None),
    ] {
        assert_eq!(find(name, values), expected, "{name} {values:?}");
    }
}
