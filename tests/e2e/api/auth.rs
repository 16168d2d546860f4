//! Signing requests, tokens that change, and secrets that no output may hold (A04, L).

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use support::apis::{tap_api, tap_apis};
use support::folder;
use support::run::file;
use support::secrets::hidden;
use support::web::{Asked, Reply, Web};

fn stream() -> Value {
    json!({ "path": "items" })
}

fn good() -> Reply {
    Reply::json(&json!([{ "id": 1 }]))
}

fn field(asked: &Asked, name: &str) -> Option<String> {
    let fields = asked.body.split('&').filter_map(|field| field.split_once('='));
    fields.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

#[test]
fn each_method_signs_its_way() {
    let check = |settings: Value, header: &str, expected: Option<&str>, target: &str| {
        let web = Web::replies(vec![good()]);
        tap_api(&web.url, &stream(), &settings).go().success();
        let asked = &web.asked()[0];
        assert_eq!(asked.header(header), expected, "{settings}");
        assert_eq!(asked.target, target, "{settings}");
    };
    check(json!({}), "authorization", None, "/items");
    let basic = json!({ "auth_method": "basic", "username": "tom",
        "password": "CANARY-5f3a p@ss:w é'%\n" });
    check(basic, "authorization", Some("Basic dG9tOkNBTkFSWS01ZjNhIHBAc3M6dyDDqScl"), "/items");
    let bearer = json!({ "auth_method": "bearer_token", "bearer_token": "CANARY-5f3a\n" });
    check(bearer, "authorization", Some("Bearer CANARY-5f3a"), "/items");
    let raw = json!({ "auth_method": "raw_token", "bearer_token": "Token CANARY-5f3a" });
    check(raw, "authorization", Some("Token CANARY-5f3a"), "/items");
    let key = json!({ "auth_method": "api_key", "api_keys": { "X-Key": "CANARY-5f3a" } });
    check(key, "x-key", Some("CANARY-5f3a"), "/items");
    let key = json!({ "auth_method": "api_key", "api_keys": { "key": "CANARY-5f3a b" },
        "api_keys_in": "query" });
    check(key, "authorization", None, "/items?key=CANARY-5f3a%20b");
    let header = json!({ "headers": { "Accept": "text/json", "X-A": "CANARY-5f3a" } });
    check(header, "accept", Some("text/json"), "/items");
}

#[test]
fn what_a_method_needs_is_said() {
    let check = |settings: Value, text: &str| {
        let outcome = tap_api("http://127.0.0.1:9", &stream(), &settings).go().exits(78);
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    };
    check(json!({ "auth_method": "basic" }), "username");
    check(json!({ "auth_method": "bearer_token" }), "bearer_token");
    check(json!({ "auth_method": "api_key" }), "api_keys");
    check(json!({ "auth_method": "aws", "aws_credentials": {} }), "cannot sign requests for AWS");
    check(json!({ "auth_method": "magic" }), "`bearer_token`");
    check(json!({ "auth_method": "oauth" }), "access_token_url");
    let url = "http://127.0.0.1:9/token";
    check(json!({ "auth_method": "oauth", "access_token_url": url }), "client_id");
    let refresh = json!({ "auth_method": "oauth", "access_token_url": url,
        "grant_type": "refresh_token" });
    check(refresh, "refresh_token");
}

/// Gives a token to each who asks, and records to the latest token alone; every `expires` requests
/// the token is of no use any more. Refresh tokens count once.
fn token_server(expires: usize) -> Web {
    Web::start(move |asked| {
        let token = asked.before / expires;
        match asked.path() {
            "/token" => {
                let refresh = field(asked, "refresh_token");
                if refresh.is_some_and(|refresh| refresh == "CANARY-5f3a-used") {
                    let body = json!({ "error": "invalid_grant" });
                    return Reply::text(400, "application/json", &body.to_string());
                }
                Reply::json(
                    &json!({ "access_token": format!("CANARY-5f3a-a{token}"), "expires_in": 3600,
                    "refresh_token": format!("CANARY-5f3a-r{}", asked.before) }),
                )
            }
            _ if asked.header("authorization")
                != Some(format!("Bearer CANARY-5f3a-a{token}").as_str()) =>
            {
                Reply::status(401)
            }
            _ => {
                let page: u64 = asked.param("page").map_or(0, |page| page.parse().unwrap());
                let next = (page < 4).then_some(page + 1);
                Reply::json(&json!({ "data": [{ "id": page }], "next_page": next }))
            }
        }
    })
}

fn oauth(web: &Web, more: &Value) -> Value {
    let mut settings = json!({ "auth_method": "oauth", "client_id": "me",
        "client_secret": "CANARY-5f3a s&c", "access_token_url": format!("{}/token", web.url) });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn pages() -> Value {
    json!({ "path": "items", "records_path": "$.data[*]", "primary_keys": ["id"] })
}

#[test]
fn a_token_refused_in_the_middle_is_renewed_once() {
    let web = token_server(4);
    let outcome = tap_api(&web.url, &pages(), &oauth(&web, &json!({ "scope": "read" }))).go();
    let rows: Vec<Value> = (0..5).map(|id| json!({ "id": id })).collect();
    assert_eq!(outcome.success().records("t"), rows);
    let asked = web.asked();
    let tokens: Vec<&Asked> = asked.iter().filter(|asked| asked.path() == "/token").collect();
    assert!(tokens.len() >= 2, "{}", tokens.len());
    assert_eq!(field(tokens[0], "grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(field(tokens[0], "client_secret").as_deref(), Some("CANARY-5f3a%20s%26c"));
    assert_eq!(field(tokens[0], "scope").as_deref(), Some("read"));
    // A server that refuses every token is asked twice and no more.
    let web = Web::start(|asked| match asked.path() {
        "/token" => Reply::json(&json!({ "access_token": "CANARY-5f3a-access" })),
        _ => Reply::text(401, "text/plain", "you said CANARY-5f3a-access"),
    });
    let outcome = tap_api(&web.url, &pages(), &oauth(&web, &json!({}))).go().exits(77);
    assert_eq!(web.asked().len(), 4);
    assert!(outcome.stderr.contains("you said ***"), "{}", outcome.stderr);
    let basic = oauth(&web, &json!({ "oauth_basic_client": true }));
    tap_api(&web.url, &pages(), &basic).go().exits(77);
    let last = web.asked().into_iter().rfind(|asked| asked.path() == "/token").unwrap();
    assert_eq!(last.header("authorization"), Some("Basic bWU6Q0FOQVJZLTVmM2EgcyZj"));
    assert_eq!(field(&last, "client_secret"), None);
}

#[test]
fn a_refresh_token_that_changes_is_kept() {
    let scratch = folder();
    let path = scratch.path().join("token.json");
    let web = token_server(3);
    let settings =
        oauth(&web, &json!({ "refresh_token": "CANARY-5f3a-first", "oauth_token_file": path }));
    let sent = |web: &Web| -> Vec<String> {
        let asked = web.asked();
        asked.iter().filter_map(|asked| field(asked, "refresh_token")).collect()
    };
    tap_api(&web.url, &pages(), &settings).go().success();
    let used = sent(&web);
    assert_eq!(used[0], "CANARY-5f3a-first");
    assert!(used.len() > 1 && used[1] == "CANARY-5f3a-r0", "{used:?}");
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = used.len();
    tap_api(&web.url, &pages(), &settings).go().success();
    assert_eq!(sent(&web)[before], kept["refresh_token"].as_str().unwrap());
    // Where it cannot be kept nothing is asked.
    let mut nowhere = settings.clone();
    nowhere["oauth_token_file"] = "/nonexistent/token.json".into();
    let asked = web.asked().len();
    let outcome = tap_api(&web.url, &pages(), &nowhere).go().exits(74);
    assert!(outcome.stderr.contains("oauth_token_file"), "{}", outcome.stderr);
    assert_eq!(web.asked().len(), asked);
    // Without a file there is a warning, and a token that was used is refused for good.
    let web = token_server(100);
    let unkept = oauth(&web, &json!({ "refresh_token": "CANARY-5f3a-first" }));
    let outcome = tap_api(&web.url, &pages(), &unkept).go().success();
    assert!(outcome.stderr.contains("set `oauth_token_file`"), "{}", outcome.stderr);
    let used = oauth(&web, &json!({ "refresh_token": "CANARY-5f3a-used" }));
    let outcome = tap_api(&web.url, &pages(), &used).go().exits(77);
    assert!(outcome.stderr.contains("invalid_grant"), "{}", outcome.stderr);
    file(scratch.path(), "token.json", "nonsense");
    tap_api(&web.url, &pages(), &settings).go().exits(78);
}

/// Every setting that can hold a secret, each with one of its own.
fn canaries(web: &Web) -> Value {
    json!({
        "username": "CANARY-5f3a-user", "password": "CANARY-5f3a-password",
        "bearer_token": "CANARY-5f3a-bearer", "api_keys": { "key": "CANARY-5f3a-key" },
        "api_keys_in": "query", "client_id": "me", "client_secret": "CANARY-5f3a-client",
        "refresh_token": "CANARY-5f3a-refresh", "access_token_url": format!("{}/token", web.url),
        "oauth_extras": { "audience": "CANARY-5f3a-extra" },
        "params": { "token": "CANARY-5f3a-param" }, "body": { "deep": ["CANARY-5f3a-body"] },
        "headers": { "X-Secret": "CANARY-5f3a-header" },
    })
}

type Answer = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

#[test]
fn secrets_are_in_no_output() {
    let echo = |asked: &Asked| {
        let headers: Vec<String> =
            asked.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {} {}", asked.target, headers.join(" "), asked.body)
    };
    // Servers that echo what they were sent, in ways that end the run and in ways that do not.
    let replies: Vec<Answer> = vec![
        Box::new(move |asked| Reply::text(400, "text/plain", &echo(asked))),
        Box::new(move |asked| Reply::text(401, "text/plain", &echo(asked))),
        Box::new(move |asked| Reply::text(500, "text/plain", &echo(asked))),
        Box::new(move |asked| Reply::text(200, "text/html", &echo(asked))),
        Box::new(move |asked| Reply::text(200, "application/json", &echo(asked))),
        Box::new(move |asked| {
            Reply::status(302).header("Location", &format!("/x{}", asked.target))
        }),
        Box::new(move |_| Reply::raw(b"").reset()),
        Box::new(|_| good()),
    ];
    let mut outputs = Vec::new();
    for reply in replies {
        let web = Web::start(move |asked| match asked.path() {
            "/token" => Reply::json(&json!({ "access_token": "CANARY-5f3a-access",
                "refresh_token": "CANARY-5f3a-rotated" })),
            _ => reply(asked),
        });
        for method in ["basic", "bearer_token", "raw_token", "api_key", "oauth"] {
            let mut settings = canaries(&web);
            settings["auth_method"] = method.into();
            let run = tap_api(&web.url, &stream(), &settings).env("LOGLEVEL", "TRACE");
            outputs.push((method, run.go()));
        }
    }
    // Records are no output that each process is searched for secrets in.
    for (method, outcome) in &outputs {
        hidden(method, &outcome.text());
    }
    assert!(outputs.iter().any(|(_, outcome)| outcome.code == 0));
}

#[test]
fn settings_with_a_wrong_type_do_not_show_their_value() {
    for name in
        ["password", "bearer_token", "client_secret", "refresh_token", "api_keys", "headers"]
    {
        let settings = json!({ name: ["CANARY-5f3a"] });
        let outcome = tap_api("http://127.0.0.1:9", &stream(), &settings).go().exits(78);
        assert!(outcome.stderr.contains(name), "{}", outcome.stderr);
    }
    let bad = json!({ "headers": { "X": "CANARY-5f3a\r\nY: 1" } });
    let web = Web::replies(vec![good()]);
    let outcome = tap_api(&web.url, &stream(), &bad).go().exits(78);
    assert!(outcome.stderr.contains("header: X"));
    let odd = json!({ "name": "t", "pasword": "CANARY-5f3a" });
    let outcome = tap_apis(&web.url, &[odd], &json!({})).go().exits(78);
    assert!(outcome.stderr.contains("pasword"));
}

#[test]
fn a_secret_that_a_server_writes_again_is_not_shown_in_any_encoding() {
    let secret = "CANARY-5f3a/ b+c&d\"e";
    let percent = "CANARY-5f3a%2f%20b%2bc%26d%22e";
    let forms = [
        secret.to_owned(),
        percent.to_owned(),
        percent.replace("%20", "+").replace('f', "F"),
        "CANARY-5f3a\\/ b+c\\u0026d\\u0022e".to_owned(),
        "CANARY-5f3a&#x2f; b&plus;c&amp;d&quot;e".to_owned(),
        "eTpDQU5BUlktNWYzYS8gYitjJmQiZQ".to_owned(),
        "43414E4152592D35663361".to_owned() + "2f20622b6326642265",
        percent.replace('%', "%25"),
    ];
    let forms: Vec<String> = forms.into_iter().filter(|form| !form.contains("CANARY-5F")).collect();
    for form in &forms {
        // At the end of what is shown of an answer, and of what is looked at of it.
        for before in [0, 150, 190, 196, 4070, 4090] {
            let said = format!("{} {form} {}", "x".repeat(before), "y".repeat(5000));
            let web = Web::start(move |_| Reply::text(400, "text/plain", &said));
            let settings = json!({ "auth_method": "bearer_token", "bearer_token": secret });
            let outcome = tap_api(&web.url, &pages(), &settings).go().exits(69);
            let shown = outcome.text();
            let is_told = (0..form.len() - 6).any(|at| shown.contains(&form[at..at + 6]));
            assert!(!is_told, "{form} behind {before}: {shown}");
        }
    }
}

#[test]
fn a_token_file_is_a_plain_file_of_this_user() {
    let scratch = folder();
    let path = scratch.path().join("token.json");
    let web = token_server(3);
    let settings =
        oauth(&web, &json!({ "refresh_token": "CANARY-5f3a-first", "oauth_token_file": path }));
    let elsewhere = scratch.path().join("elsewhere");
    std::fs::write(&elsewhere, "{\"refresh_token\":\"theirs\"}").unwrap();
    for name in ["token.json", "token.json.lock"] {
        let link = scratch.path().join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let outcome = tap_api(&web.url, &pages(), &settings).go().exits(78);
        assert!(outcome.stderr.contains("it is a link"), "{name}: {}", outcome.stderr);
        let kept = std::fs::read_to_string(&elsewhere).unwrap();
        assert!(kept.contains("theirs"), "{name}: {kept}");
        std::fs::remove_file(&link).unwrap();
    }
    // What is written beside the file replaces a link that stands there.
    let beside = scratch.path().join(".token.json.partial");
    std::os::unix::fs::symlink(&elsewhere, beside).unwrap();
    tap_api(&web.url, &pages(), &settings).go().success();
    assert!(std::fs::read_to_string(&elsewhere).unwrap().contains("theirs"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let outcome = tap_api(&web.url, &pages(), &settings).go().exits(78);
    assert!(outcome.stderr.contains("chmod 600"), "{}", outcome.stderr);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, vec![b' '; 1 << 20]).unwrap();
    let outcome = tap_api(&web.url, &pages(), &settings).go().exits(78);
    assert!(outcome.stderr.contains("too large"), "{}", outcome.stderr);
}
