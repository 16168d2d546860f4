//! The cases of `cases.json`, each with its text, its operation, and what has to come of it.

use serde_json::Value;

use super::{Operation, edit};

mod properties;

#[test]
fn every_case_gives_its_text_or_its_refusal() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let operation = Operation::from_json(&case["op"]).unwrap();
        let document = case["options"]["doc"].as_u64().map(|at| usize::try_from(at).unwrap());
        let input = case["input"].as_str().unwrap();
        let got = edit(input, document, &[operation]);
        let is_right = match (&got, case["output"].as_str()) {
            (Ok(edited), Some(output)) => edited.text == output,
            (Err(refused), None) => case["refused"] == refused.code,
            _ => false,
        };
        if !is_right {
            let wanted = case["output"].as_str().unwrap_or_default();
            wrong.push(format!(
                "{}\n   of {input:?}\n  got {got:?}\n want {wanted:?}",
                case["name"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
