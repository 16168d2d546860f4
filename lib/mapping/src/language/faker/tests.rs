//! Every provider makes a value in every locale.

use super::super::code::{Arguments, Code, Step};
use super::super::value::Value;
use super::*;

const LOCALES: [&str; 14] = [
    "ar_SA", "cy_GB", "de_DE", "en_US", "fa_IR", "fr_FR", "it_IT", "ja_JP", "nl_NL", "pt_BR",
    "pt_PT", "tr_TR", "zh_CN", "zh_TW",
];

#[test]
fn every_provider_makes_a_value_in_every_locale() {
    for locale in LOCALES {
        let (locale, instead) = Locale::named(locale).unwrap();
        assert_eq!(instead, None);
        let basis = Basis {
            fakes: Rc::new(Fakes::new("1", vec![locale])),
            own: None,
            row: Vec::new(),
            name: "t.c".to_owned(),
        };
        for name in Provider::NAMES {
            let provider = Provider::named(name).unwrap();
            let mut seen = std::collections::BTreeSet::new();
            for row in 0..60 {
                let mut random = basis.of_value(&[row]);
                let given = Given::new(name, Vec::new(), Vec::new());
                let made = basis.make(provider, given, &mut random).unwrap();
                let text = super::super::show::str(&made).unwrap().into_owned();
                assert!(!text.is_empty(), "{name} {locale:?}");
                assert!(!text.contains(['{', '^']), "{name} {locale:?}: {text}");
                seen.insert(text);
            }
            // Some languages have a single title.
            let few = matches!(provider, Provider::Prefix | Provider::Suffix);
            assert!(few || seen.len() > 1, "{name} {locale:?}");
        }
    }
}

#[test]
fn a_value_of_a_call_is_drawn_anew_for_each_call_of_an_expression() {
    let basis = Rc::new(Basis {
        fakes: Rc::new(Fakes::new("", Vec::new())),
        own: None,
        row: Vec::new(),
        name: String::new(),
    });
    let call = || Code {
        at: 0..0,
        step: Step::Fake(Provider::Uuid4, Arguments::default(), Rc::clone(&basis)),
    };
    let code = Code { at: 0..0, step: Step::List(vec![call(), call()]) };
    let made = super::super::eval::Scene::new(None).value(&code).unwrap();
    let Value::List(values) = made else { panic!("no list") };
    assert!(!values[0].equals(&values[1]));
}
