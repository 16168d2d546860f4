//! Numbers, times and codes, which are the same in every locale.

use fake::Fake as _;
use fake::RngExt as _;
use fake::faker::barcode::raw as barcode;
use fake::faker::creditcard::raw as card;
use fake::faker::filesystem::raw as files;
use fake::faker::finance::raw as finance;
use fake::faker::internet::raw as internet;
use fake::locales::EN;

use super::super::fault::Fault;
use super::super::given::Given;
use super::super::moment::{DAY, Date};
use super::super::moment_text;
use super::super::value::{Value, Valued};
use super::names::Provider;
use super::random::{Random, below, count};

/// The days from which dates are taken. They are fixed: with today among them, the values of a
/// run would not be those of the run before.
const FIRST_DAY: [i64; 3] = [1970, 1, 1];
const LAST_DAY: [i64; 3] = [2025, 12, 31];
/// Letters and digits of passwords.
const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Makes a value that no locale decides.
pub(super) fn make<'a>(
    provider: Provider,
    given: &mut Given<'a>,
    random: &mut Random,
) -> Result<Option<Value<'a>>, Fault> {
    use Provider as P;
    Ok(Some(match provider {
        P::RandomInt => integer(["min", "max"], given, random)?,
        P::PyInt => integer(["min_value", "max_value"], given, random)?,
        P::PyFloat => float(given, random)?,
        P::RandomDigit => Value::Int(random.random_range(0..10)),
        P::RandomNumber => {
            let digits = count(given, "digits", 9)?.min(18);
            let end = 10_i64.pow(u32::try_from(digits).unwrap_or(9));
            Value::Int(random.random_range(0..end))
        }
        P::Boolean | P::PyBool => {
            let chance = given.maybe_index("chance_of_getting_true")?.unwrap_or(50);
            Value::Bool(random.random_range(0..100) < chance)
        }
        P::Latitude => degrees(90, random),
        P::Longitude => degrees(180, random),
        P::RandomElement => {
            let elements = match given.maybe("elements") {
                Some(elements) => elements.members()?,
                None => ["a", "b", "c"].map(Value::text).to_vec(),
            };
            let at = below(elements.len(), random);
            elements.into_iter().nth(at).ok_or_else(|| Fault::of("`elements` is empty"))?
        }
        P::Date | P::DateObject | P::DateOfBirth | P::DateTime | P::Iso8601 | P::Year => {
            time(provider, given, random)?
        }
        _ => match code(provider, given, random)? {
            Some(text) => Value::text(text),
            None => return Ok(None),
        },
    }))
}

/// Makes a text that follows a rule.
fn code(
    provider: Provider,
    given: &mut Given<'_>,
    random: &mut Random,
) -> Result<Option<String>, Fault> {
    use Provider as P;
    let pattern = |given: &mut Given<'_>, usual: &str| {
        Ok::<String, Fault>(given.maybe_text("text")?.map_or_else(|| usual.to_owned(), Into::into))
    };
    Ok(Some(match provider {
        P::Uuid4 => uuid(random),
        P::Md5 => hexadecimal(32, random),
        P::Sha1 => hexadecimal(40, random),
        P::Sha256 => hexadecimal(64, random),
        P::HexColor => format!("#{}", hexadecimal(6, random)),
        P::IPv4 => internet::IPv4(EN).fake_with_rng(random),
        P::IPv6 => internet::IPv6(EN).fake_with_rng::<String, _>(random).to_lowercase(),
        P::MacAddress => internet::MACAddress(EN).fake_with_rng::<String, _>(random).to_lowercase(),
        P::CreditCardNumber => card::CreditCardNumber(EN).fake_with_rng(random),
        P::Isbn10 => barcode::Isbn10(EN).fake_with_rng(random),
        P::Isbn13 => barcode::Isbn13(EN).fake_with_rng(random),
        P::Swift => finance::Bic(EN).fake_with_rng(random),
        P::FileExtension => files::FileExtension(EN).fake_with_rng(random),
        P::FileName => files::FileName(EN).fake_with_rng(random),
        P::MimeType => files::MimeType(EN).fake_with_rng(random),
        P::RandomLetter => filled("?", random),
        P::LicensePlate => filled("???-####", random).to_uppercase(),
        P::Bothify => filled(&pattern(given, "## ??")?, random),
        P::Numerify => {
            filled(&pattern(given, "###")?.replace('?', "\u{0}"), random).replace('\u{0}', "?")
        }
        P::Lexify => filled(&pattern(given, "????")?.replace(['#', '%'], "\u{0}"), random),
        P::Password => {
            let length = count(given, "length", 10)?;
            (0..length).map(|_| char::from(SIGNS[below(SIGNS.len(), random)])).collect()
        }
        _ => return Ok(None),
    }))
}

fn hexadecimal(digits: usize, random: &mut Random) -> String {
    (0..digits).filter_map(|_| char::from_digit(random.random_range(0..16), 16)).collect()
}

fn uuid(random: &mut Random) -> String {
    let (one, two, three) =
        (hexadecimal(8, random), hexadecimal(4, random), hexadecimal(3, random));
    let variant = ['8', '9', 'a', 'b'][below(4, random)];
    let (four, five) = (hexadecimal(3, random), hexadecimal(12, random));
    format!("{one}-{two}-4{three}-{variant}{four}-{five}")
}

/// Puts digits in place of `#`, digits but 0 in place of `%`, and letters in place of `?`.
fn filled(pattern: &str, random: &mut Random) -> String {
    let letter = |c| match c {
        '#' => char::from(b'0' + random.random_range(0..10)),
        '%' => char::from(b'0' + random.random_range(1..10)),
        '?' => char::from(b'a' + random.random_range(0..26)),
        other => other,
    };
    pattern.chars().map(letter).collect()
}

fn integer<'a>(names: [&str; 2], given: &mut Given<'_>, random: &mut Random) -> Valued<'a> {
    let [from, to] = names;
    let least = given.maybe_index(from)?.unwrap_or(0);
    let most = given.maybe_index(to)?.unwrap_or(9999);
    let step = given.maybe_index("step")?.unwrap_or(1);
    if most < least || step < 1 {
        return Err(Fault::of(format!("there is no number between `{from}` and `{to}`")));
    }
    let steps = (i128::from(most) - i128::from(least)) / i128::from(step);
    let drawn = random.random_range(0..=steps) * i128::from(step) + i128::from(least);
    Ok(Value::Int(i64::try_from(drawn).unwrap_or(most)))
}

fn float<'a>(given: &mut Given<'a>, random: &mut Random) -> Valued<'a> {
    let left = given.maybe_index("left_digits")?;
    let right = given.maybe_index("right_digits")?.unwrap_or(2).clamp(0, 15);
    let positive = given.maybe("positive").is_some_and(|value| value.is_true());
    let bound = |value: Option<Value<'_>>| match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => match value.number() {
            Some(number) if number.float().is_finite() => Ok(Some(number.float())),
            _ => Err(Fault::of(format!("a limit is a number, not {}", value.kind()))),
        },
    };
    let (least, most) = (bound(given.maybe("min_value"))?, bound(given.maybe("max_value"))?);
    let wide = 10_f64.powi(i32::try_from(left.unwrap_or(6).clamp(0, 15)).unwrap_or(6));
    let least =
        least.unwrap_or(if positive { 0.0 } else { most.map_or(-wide, |most| most - wide) });
    let most = most.unwrap_or(least.max(0.0) + wide);
    if most < least {
        return Err(Fault::of("there is no number between `min_value` and `max_value`"));
    }
    let drawn = least + random.random_range(0.0..=1.0) * (most - least);
    let scale = 10_f64.powi(i32::try_from(right).unwrap_or(2));
    let rounded = (drawn * scale).round() / scale;
    Ok(Value::Float(if rounded.is_finite() { rounded.clamp(least, most) } else { drawn }))
}

fn degrees<'a>(most: i64, random: &mut Random) -> Value<'a> {
    let millionths = random.random_range(-most * 1_000_000..=most * 1_000_000);
    let sign = if millionths < 0 { "-" } else { "" };
    let positive = millionths.abs();
    Value::Digits(format!("{sign}{}.{:06}", positive / 1_000_000, positive % 1_000_000).into())
}

fn time<'a>(provider: Provider, given: &mut Given<'_>, random: &mut Random) -> Valued<'a> {
    let day = |[year, month, day]: [i64; 3]| Date::new(year, month, day);
    let (first, last) = (day(FIRST_DAY)?, day(LAST_DAY)?);
    if provider == Provider::DateOfBirth {
        let _zone = given.maybe("tzinfo");
        let youngest = given.maybe_index("minimum_age")?.unwrap_or(0);
        let oldest = given.maybe_index("maximum_age")?.unwrap_or(115);
        if !(0..=1000).contains(&youngest) || !(youngest..=1000).contains(&oldest) {
            return Err(Fault::of("there is no age between `minimum_age` and `maximum_age`"));
        }
        let [year, month, of_month] = LAST_DAY;
        let latest = Date::new(year - youngest, month, of_month)?;
        let before = Date::new(year - oldest - 1, month, of_month)?;
        let days = latest.days_since(before);
        return Ok(Value::Date(before.plus_days(random.random_range(1..=days))?));
    }
    let date = first.plus_days(random.random_range(0..=last.days_since(first)))?;
    let moment = date.at(random.random_range(0..DAY / 1_000_000) * 1_000_000, None);
    Ok(match provider {
        Provider::DateTime => Value::DateTime(moment),
        Provider::Iso8601 => Value::text(moment.text('T')),
        Provider::Year => Value::text(date.parts().0.to_string()),
        Provider::DateObject => Value::Date(date),
        _ => match given.maybe_text("pattern")? {
            Some(pattern) => Value::text(moment_text::format(moment, &pattern)?),
            None => Value::text(date.text()),
        },
    })
}
