//! Makes a value in the words of a locale.

use fake::locales::{
    AR_SA, CY_GB, DE_DE, EN, FA_IR, FR_FR, IT_IT, JA_JP, NL_NL, PT_BR, PT_PT, TR_TR, ZH_CN, ZH_TW,
};

use super::super::given::Given;
use super::super::value::Valued;
use super::locale::Locale;
use super::names::Provider;
use super::random::Random;
use super::{numbers, words};

/// Makes a value.
pub(super) fn make<'a>(
    provider: Provider,
    locale: Locale,
    given: &mut Given<'a>,
    random: &mut Random,
) -> Valued<'a> {
    if let Some(value) = numbers::make(provider, given, random)? {
        return Ok(value);
    }
    match locale {
        Locale::Arabic => words::make(AR_SA, provider, given, random),
        Locale::Brazilian => words::make(PT_BR, provider, given, random),
        Locale::Chinese => words::make(ZH_CN, provider, given, random),
        Locale::Dutch => words::make(NL_NL, provider, given, random),
        Locale::English => words::make(EN, provider, given, random),
        Locale::French => words::make(FR_FR, provider, given, random),
        Locale::German => words::make(DE_DE, provider, given, random),
        Locale::Italian => words::make(IT_IT, provider, given, random),
        Locale::Japanese => words::make(JA_JP, provider, given, random),
        Locale::Persian => words::make(FA_IR, provider, given, random),
        Locale::Portuguese => words::make(PT_PT, provider, given, random),
        Locale::Taiwanese => words::make(ZH_TW, provider, given, random),
        Locale::Turkish => words::make(TR_TR, provider, given, random),
        Locale::Welsh => words::make(CY_GB, provider, given, random),
    }
}
