//! Account numbers of banks: two letters of a country, check digits, and 97 divides them.

/// Countries that give such numbers, and how long theirs are.
const LENGTHS: &str = "\
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 \
    DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 \
    IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 \
    MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 \
    SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// Tells whether a text is an account number. In small letters, where other texts such as sums
/// have its form, too, the length must be that of its country.
pub(super) fn is_iban(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let (Some(country), Some(check)) = (text.get(..2), text.get(2..4)) else { return false };
    let is_form = (15..=34).contains(&text.len())
        && country.iter().all(u8::is_ascii_alphabetic)
        && check.iter().all(u8::is_ascii_digit)
        && text.iter().all(u8::is_ascii_alphanumeric);
    if !is_form || !country.iter().all(u8::is_ascii_uppercase) && !has_length(country, text.len()) {
        return false;
    }
    let rest = text[4..].iter().chain(&text[..4]);
    rest.fold(0_u32, |rest, byte| remainder(rest, *byte)) == 1
}

fn has_length(country: &[u8], length: usize) -> bool {
    let country = String::from_utf8_lossy(country).to_ascii_uppercase();
    LENGTHS.split(' ').any(|known| known == format!("{country}{length}"))
}

fn remainder(rest: u32, byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_letters_and_spaces_are_read() {
        for text in [
            "DE89 3704 0044 0532 0130 00",
            "de89370400440532013000",
            "at611904300234573201",
            "nl91abna0417164300",
            "Gb82 west 1234 5698 7654 32",
        ] {
            assert!(is_iban(text), "{text}");
        }
        for text in ["de88370400440532013000", "ab04deadbeefdeadbeef", "de89", ""] {
            assert!(!is_iban(text), "{text}");
        }
    }
}
