//! Names, addresses, companies and texts, in the words of a locale.

use fake::Fake as _;
use fake::faker::address::raw as address;
use fake::faker::company::raw as company;
use fake::faker::currency::raw as currency;
use fake::faker::impls::address::CityNameGenFn;
use fake::faker::internet::raw as internet;
use fake::faker::job::raw as job;
use fake::faker::lorem::raw as lorem;
use fake::faker::name::raw as name;
use fake::faker::phone_number::raw as phone;
use fake::locales::{Data, EN};

use super::super::fault::Fault;
use super::super::given::Given;
use super::super::value::{Value, Valued};
use super::names::Provider;
use super::random::{Random, below, count};

/// How many letters a text has, unless the call says so.
const TEXT: usize = 200;
/// Domains that are nobody's: what is sent to them reaches no one.
const DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

/// Makes a text, or several ones, of the words of a locale.
pub(super) fn make<'a, L: Data + CityNameGenFn + Copy>(
    locale: L,
    provider: Provider,
    given: &mut Given<'_>,
    random: &mut Random,
) -> Valued<'a> {
    use Provider as P;
    let one: fn(L, &mut Random) -> String = match provider {
        P::Words => |locale, random| lorem::Word(locale).fake_with_rng(random),
        P::Sentences => |locale, random| sentence(locale, 6, random),
        P::Paragraphs => |locale, random| paragraph(locale, 3, random),
        _ => return Ok(Value::text(single(locale, provider, given, random)?)),
    };
    let many = count(given, "nb", 3)?;
    Ok(Value::list((0..many).map(|_| Value::text(one(locale, random))).collect()))
}

fn single<L: Data + CityNameGenFn + Copy>(
    locale: L,
    provider: Provider,
    given: &mut Given<'_>,
    random: &mut Random,
) -> Result<String, Fault> {
    use Provider as P;
    Ok(match provider {
        P::Name => name::Name(locale).fake_with_rng(random),
        P::FirstName => name::FirstName(locale).fake_with_rng(random),
        P::LastName => name::LastName(locale).fake_with_rng(random),
        P::Prefix => name::Title(locale).fake_with_rng(random),
        P::Suffix => name::Suffix(locale).fake_with_rng(random),
        P::Job => job::Title(locale).fake_with_rng(random),
        P::PhoneNumber => phone::PhoneNumber(locale).fake_with_rng(random),
        P::Company => company::CompanyName(locale).fake_with_rng(random),
        P::CompanySuffix => company::CompanySuffix(locale).fake_with_rng(random),
        P::CatchPhrase => company::CatchPhrase(locale).fake_with_rng(random),
        P::Bs => company::Bs(locale).fake_with_rng(random),
        P::CurrencyCode => currency::CurrencyCode(locale).fake_with_rng(random),
        P::CurrencyName => currency::CurrencyName(locale).fake_with_rng(random),
        P::UserAgent => internet::UserAgent(locale).fake_with_rng(random),
        P::UserName => user(locale, random),
        P::Email
        | P::SafeEmail
        | P::AsciiEmail
        | P::AsciiSafeEmail
        | P::FreeEmail
        | P::CompanyEmail => {
            let user = user(locale, random);
            format!("{user}@{}", DOMAINS[below(DOMAINS.len(), random)])
        }
        P::DomainName => domain(locale, random),
        P::Url => format!("https://www.{}/", domain(locale, random)),
        P::Word => lorem::Word(locale).fake_with_rng(random),
        P::Sentence => {
            let words = count(given, "nb_words", 6)?;
            sentence(locale, words, random)
        }
        P::Paragraph => {
            let sentences = count(given, "nb_sentences", 3)?;
            paragraph(locale, sentences, random)
        }
        P::Text => text(locale, count(given, "max_nb_chars", TEXT)?, random),
        _ => place(locale, provider, random),
    })
}

/// Makes a part of an address, or a whole one.
fn place<L: Data + CityNameGenFn + Copy>(
    locale: L,
    provider: Provider,
    random: &mut Random,
) -> String {
    use Provider as P;
    match provider {
        P::City => {
            // Some locales have names with a part that is left open.
            let names = (0..8).map(|_| address::CityName(locale).fake_with_rng(random));
            let whole = names.map(|name: String| name).find(|name| !name.contains('{'));
            whole.unwrap_or_else(|| name::LastName(locale).fake_with_rng(random))
        }
        P::Country => address::CountryName(locale).fake_with_rng(random),
        P::CountryCode => address::CountryCode(locale).fake_with_rng(random),
        P::State => address::StateName(locale).fake_with_rng(random),
        P::StateAbbr => address::StateAbbr(locale).fake_with_rng(random),
        P::StreetName => address::StreetName(locale).fake_with_rng(random),
        P::StreetSuffix => address::StreetSuffix(locale).fake_with_rng(random),
        P::SecondaryAddress => address::SecondaryAddress(locale).fake_with_rng(random),
        P::BuildingNumber => address::BuildingNumber(locale).fake_with_rng(random),
        P::Zipcode => address::ZipCode(locale).fake_with_rng(random),
        P::Postcode => address::PostCode(locale).fake_with_rng(random),
        P::Timezone => address::TimeZone(EN).fake_with_rng(random),
        P::StreetAddress => {
            let number = place(locale, P::BuildingNumber, random);
            format!("{number} {}", place(locale, P::StreetName, random))
        }
        _ => {
            let street = place(locale, P::StreetAddress, random);
            let city = place(locale, P::City, random);
            let state = place(locale, P::StateAbbr, random);
            format!("{street}\n{city}, {state} {}", place(locale, P::Postcode, random))
        }
    }
}

/// Makes a word of the letters that mail addresses and domains have.
fn ascii<L: Data + Copy>(locale: L, is_first: bool, random: &mut Random) -> String {
    let drawn: &str = if is_first {
        name::FirstName(locale).fake_with_rng(random)
    } else {
        name::LastName(locale).fake_with_rng(random)
    };
    let taken = if drawn.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        drawn
    } else if is_first {
        name::FirstName(EN).fake_with_rng(random)
    } else {
        name::LastName(EN).fake_with_rng(random)
    };
    taken.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
}

fn user<L: Data + Copy>(locale: L, random: &mut Random) -> String {
    let (first, last) = (ascii(locale, true, random), ascii(locale, false, random));
    format!("{first}.{last}{}", below(10_000, random))
}

/// `.example` is a domain that nobody can have.
fn domain<L: Data + Copy>(locale: L, random: &mut Random) -> String {
    let (one, two) = (ascii(locale, false, random), ascii(locale, false, random));
    format!("{one}-{two}.example")
}

fn sentence<L: Data + Copy>(locale: L, words: usize, random: &mut Random) -> String {
    let words: Vec<&str> = (0..words).map(|_| lorem::Word(locale).fake_with_rng(random)).collect();
    let mut text = words.join(" ");
    if let Some(first) = text.chars().next() {
        text.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
        text.push('.');
    }
    text
}

fn paragraph<L: Data + Copy>(locale: L, sentences: usize, random: &mut Random) -> String {
    let sentences: Vec<String> = (0..sentences).map(|_| sentence(locale, 6, random)).collect();
    sentences.join(" ")
}

/// Makes sentences that have no more letters than that all together.
fn text<L: Data + Copy>(locale: L, letters: usize, random: &mut Random) -> String {
    let mut text = String::new();
    loop {
        let next = sentence(locale, 6, random);
        let length = text.chars().count() + usize::from(!text.is_empty()) + next.chars().count();
        if length > letters {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&next);
    }
    if text.is_empty() {
        text = sentence(locale, 6, random).chars().take(letters).collect();
    }
    text
}
