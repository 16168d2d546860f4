//! Answers that are late, refused, broken, too large or not what was asked for (A01 to A19, N).

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use support::apis::tap_api;
use support::cluster::cluster;
use support::folder;
use support::invariants::Reading;
use support::run::Outcome;
use support::web::{Reply, Web};

fn good() -> Reply {
    Reply::json(&json!([{ "id": 1 }, { "id": 2 }]))
}

fn read(web: &Web, more: &Value) -> Outcome {
    tap_api(&web.url, &json!({ "path": "items", "primary_keys": ["id"] }), more).go()
}

/// What a read has that comes to a good end.
static WHOLE: LazyLock<Reading> =
    LazyLock::new(|| Reading::of("t", [&read(&Web::replies(vec![good()]), &json!({}))]));

/// Asserts that a second attempt makes up for this reply.
#[track_caller]
fn is_tried_again(name: &str, bad: Reply, more: &Value) {
    let web = Web::replies(vec![bad.clone(), good()]);
    assert!(WHOLE.after_fault(&read(&web, more), &[0]), "{name}");
    assert_eq!(web.asked().len(), 2, "{name}");
    let web = Web::replies(vec![bad]);
    let outcome = read(&web, more);
    WHOLE.after_fault(&outcome, &[75]);
    assert_eq!(web.asked().len(), 3, "{name}: {}", outcome.stderr);
}

/// Asserts that this reply ends the run at once.
#[track_caller]
fn ends_the_run(name: &str, bad: Reply, code: i32, words: &[&str]) {
    let web = Web::replies(vec![bad, good()]);
    let outcome = read(&web, &json!({}));
    WHOLE.after_fault(&outcome, &[code]);
    assert_eq!(web.asked().len(), 1, "{name}");
    let request = format!("GET {}/items", web.url);
    for word in words.iter().copied().chain([request.as_str()]) {
        assert!(outcome.stderr.contains(word), "{name}: no {word} in {}", outcome.stderr);
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let none = json!({});
    let busy = || Reply::status(429);
    is_tried_again("A01 seconds", busy().header("Retry-After", "0"), &none);
    is_tried_again("A01 fraction", busy().header("Retry-After", "0.01"), &none);
    is_tried_again("A01 absurd", busy().header("Retry-After", "99999999999999999999"), &none);
    is_tried_again("A01 infinite", busy().header("Retry-After", "inf"), &none);
    let date = "Fri, 31 Dec 2099 23:59:59 GMT";
    is_tried_again("A01 date to come", busy().header("Retry-After", date), &none);
    let date = "Fri, 31 Dec 1999 23:59:59 GMT";
    is_tried_again("A01 date gone", busy().header("Retry-After", date), &none);
    is_tried_again("A01 nonsense", busy().header("Retry-After", "soon"), &none);
    is_tried_again("A01 none", busy(), &none);
    let limits = |reply: Reply| {
        reply.header("X-RateLimit-Remaining", "0").header("X-RateLimit-Reset", "4102444800")
    };
    is_tried_again("a limit used up", limits(busy()), &none);
    is_tried_again("a limit used up, as 403", limits(Reply::status(403)), &none);
    let custom = json!({ "backoff_type": "header", "backoff_param": "X-Wait" });
    is_tried_again("a header of its own", busy().header("X-Wait", "0"), &custom);
    let message = json!({ "backoff_type": "message" });
    let text = Reply::text(429, "application/json", "{\"message\":\"wait 0 seconds\"}");
    is_tried_again("a message", text, &message);
    for status in [500, 502, 503, 504] {
        is_tried_again("A02", Reply::status(status), &none);
    }
}

#[test]
fn a_wait_beyond_the_budget_is_not_waited() {
    let web = Web::replies(vec![Reply::status(429).header("Retry-After", "3600")]);
    let settings = json!({ "retry_wait_max_seconds": 7200, "retry_budget_seconds": 10 });
    let outcome = read(&web, &settings).exits(75);
    assert_eq!(web.asked().len(), 1);
    assert!(outcome.stderr.contains("requests_per_second"), "{}", outcome.stderr);
}

#[test]
fn answers_that_break_off_are_asked_for_again() {
    let none = json!({});
    let whole = good();
    is_tried_again("A02 reset", Reply::raw(b"").reset(), &none);
    is_tried_again("closed at once", Reply::raw(b""), &none);
    is_tried_again("no HTTP", Reply::raw(b"SSH-2.0-OpenSSH_9.2\r\n"), &none);
    is_tried_again("half a head", Reply::raw(b"HTTP/1.1 200 OK\r\nConte"), &none);
    for bytes in [1, 5, 17] {
        is_tried_again("A06 short", whole.clone().without(bytes), &none);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let chunked = |body: &str| {
        Reply::raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
    };
    is_tried_again("A06 bad chunk", chunked("zz\r\n[{\"id\":1}]\r\n0\r\n\r\n"), &none);
    is_tried_again("A06 cut chunk", chunked("40\r\n[{\"id\":1},"), &none);
    is_tried_again("A06 no last chunk", chunked("a\r\n[{\"id\":1}]\r\n"), &none);
    let gzip = gzipped("[{\"id\":1},{\"id\":2}]");
    let encoded = |bytes: &[u8], encoding: &str| {
        Reply::bytes(200, "application/json", bytes).header("Content-Encoding", encoding)
    };
    is_tried_again("A06 gzip cut", encoded(&gzip[..gzip.len() - 9], "gzip"), &none);
    is_tried_again("A06 no gzip", encoded(b"[{\"id\":1}]", "gzip"), &none);
    is_tried_again("A06 no zstd", encoded(b"[{\"id\":1}]", "zstd"), &none);
    is_tried_again("A06 no brotli", encoded(b"[{\"id\":1}]", "br"), &none);
    let text = "[{\"id\":1},{\"id\":2}]";
    let script = format!("process.stdout.write(require('zlib').brotliCompressSync('{text}'))");
    let brotli = Command::new("node").args(["-e", &script]).output().unwrap().stdout;
    // One frame with its size, and one block as it is.
    let size = u8::try_from(text.len()).unwrap();
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, size, size << 3 | 1, 0, 0], text.as_bytes()];
    let forms = [(gzip, "gzip"), (brotli, "br"), (zstd.concat(), "zstd")];
    for (bytes, encoding) in forms {
        let outcome = read(&Web::replies(vec![encoded(&bytes, encoding)]), &none).success();
        assert_eq!(outcome.records("t").len(), 2, "{encoding}");
        is_tried_again("A06 cut", encoded(&bytes[..bytes.len() - 3], encoding), &none);
    }
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output.stdout
}

#[test]
fn slow_servers_run_into_timeouts() {
    let quick = |name: &str| {
        let mut settings = json!({ "read_timeout_seconds": 60, "request_timeout_seconds": 60 });
        settings[name] = 0.5.into();
        settings
    };
    let pause = Duration::from_millis(1500);
    is_tried_again("A16 no head", Reply::silence(), &quick("read_timeout_seconds"));
    is_tried_again("A16 slow head", good().slowly(40, pause), &quick("read_timeout_seconds"));
    is_tried_again(
        "N04 drops",
        good().slowly(1, Duration::from_millis(20)),
        &quick("request_timeout_seconds"),
    );
    let outcome = read(&Web::replies(vec![good().slowly(8, Duration::from_millis(1))]), &json!({}));
    assert_eq!(outcome.success().records("t").len(), 2);
}

#[test]
fn refusals_are_not_repeated() {
    let body =
        format!("{{\"message\":\"no \\u001b[31m such thing\",\"x\":\"{}\"}}", "y".repeat(900));
    let refused = |status: u16| Reply::text(status, "application/json", &body);
    for status in [400, 404, 410, 422] {
        ends_the_run(
            "A03",
            refused(status),
            69,
            &["no \\u001b[31m such", &format!("status: {status}")],
        );
    }
    ends_the_run("401", refused(401), 77, &["auth_method"]);
    ends_the_run("403", refused(403), 77, &["auth_method"]);
    let web = Web::replies(vec![Reply::status(404)]);
    let stream = json!({ "path": "x", "not_found": "empty" });
    assert_eq!(tap_api(&web.url, &stream, &json!({})).go().success().records("t").len(), 0);
    let long = read(&Web::replies(vec![refused(400)]), &json!({})).stderr;
    assert!(!long.contains(&"y".repeat(200)), "{long}");
}

#[test]
fn answers_that_are_no_records() {
    let page = "<html><body>Please sign in</body></html>";
    ends_the_run("A05 HTML", Reply::text(200, "text/html; charset=utf-8", page), 65, &["sign in"]);
    ends_the_run("A05 hidden HTML", Reply::text(200, "application/json", page), 65, &["<html>"]);
    ends_the_run("A05 empty", Reply::text(200, "application/json", ""), 65, &["empty"]);
    ends_the_run("A05 blank", Reply::text(200, "application/json", " \n"), 65, &["empty"]);
    let cut = "[{\"id\":1},{\"id\":";
    ends_the_run("A05 cut", Reply::text(200, "application/json", cut), 65, &["line: 1"]);
    let said = Reply::json(&json!({ "error": "quota exceeded" }));
    ends_the_run("A05 said", said, 65, &["quota", "reports an error"]);
    ends_the_run("A05 scalars", Reply::json(&json!([1, 2])), 65, &["records_path"]);
    let keyless = Web::replies(vec![Reply::json(&json!([{ "id": 1 }, { "x": 2 }]))]);
    let outcome = read(&keyless, &json!({})).exits(65);
    assert!(outcome.stderr.contains("column: id"), "A11 {}", outcome.stderr);
    let deep = "[".repeat(2000) + &"]".repeat(2000);
    let deep = format!("[{{\"id\":1,\"x\":{deep}}}]");
    ends_the_run("A10 deep", Reply::text(200, "application/json", &deep), 65, &["too deep"]);
    let one = Web::replies(vec![Reply::json(&json!({ "error": null, "data": [{ "id": 1 }] }))]);
    let outcome = tap_api(&one.url, &json!({ "path": "x" }), &json!({})).go().success();
    assert!(outcome.stderr.contains("`records_path` to $.data[*]"), "{}", outcome.stderr);
    let web = Web::replies(vec![Reply::json(&json!({ "error": "quota" }))]);
    let stream = json!({ "path": "x", "records_path": "$.data[*]" });
    let outcome = tap_api(&web.url, &stream, &json!({})).go().exits(65);
    assert!(outcome.stderr.contains("quota"), "{}", outcome.stderr);
    let stream = json!({ "path": "x", "records_path": "$.data[*]", "allow_missing_records": true });
    tap_api(&web.url, &stream, &json!({})).go().exits(65);
    let none = Web::replies(vec![Reply::json(&json!({ "message": "no orders yet" }))]);
    tap_api(&none.url, &stream, &json!({})).go().success();
    let web = Web::replies(vec![Reply::raw(b"HTTP/1.1 204 No Content\r\n\r\n")]);
    assert!(read(&web, &json!({})).success().records("t").is_empty());
}

#[test]
fn answers_that_are_too_large() {
    let long = Reply::json(&json!([{ "id": 1, "x": "x".repeat(70_000) }]));
    let outcome = read(&Web::replies(vec![long]), &json!({ "max_record_bytes": 65_536 })).exits(65);
    assert!(outcome.stderr.contains("max_record_bytes"), "{}", outcome.stderr);
    let many: Vec<Value> = (0..20_000).map(|id| json!({ "id": id })).collect();
    let many = Reply::json(&many.into());
    let outcome =
        read(&Web::replies(vec![many]), &json!({ "max_response_bytes": 65_536 })).exits(65);
    assert!(outcome.stderr.contains("max_response_bytes"), "{}", outcome.stderr);
    let bomb = gzipped(&format!("[{{\"id\":1,\"x\":\"{}\"}}]", "x".repeat(40 << 20)));
    let reply = Reply::bytes(200, "application/json", &bomb).header("Content-Encoding", "gzip");
    let outcome = read(&Web::replies(vec![reply.clone()]), &json!({})).exits(65);
    assert!(outcome.stderr.contains("decompression_ratio_max"), "{}", outcome.stderr);
    let settings = json!({ "decompression_ratio_max": 5000 });
    let outcome = read(&Web::replies(vec![reply]), &settings).success();
    assert_eq!(outcome.records("t")[0]["x"].as_str().unwrap().len(), 40 << 20);
}

#[test]
fn redirects_are_followed_with_care() {
    let auth = json!({ "auth_method": "bearer_token", "bearer_token": "CANARY-5f3a-token" });
    let there = Web::replies(vec![good()]);
    let target = format!("{}/new?x=1", there.url);
    let web = Web::start(move |asked| match asked.path() {
        "/items" => Reply::status(302).header("Location", "/moved"),
        "/moved" => Reply::status(308).header("Location", &target),
        _ => Reply::status(500),
    });
    assert_eq!(read(&web, &auth).success().records("t").len(), 2);
    assert!(web.asked().iter().all(|asked| asked.header("authorization").is_some()));
    assert_eq!(there.asked()[0].header("authorization"), None);
    assert_eq!(there.asked()[0].target, "/new?x=1");
    let web =
        Web::start(|asked| Reply::status(301).header("Location", &format!("{}1", asked.target)));
    let outcome = read(&web, &auth).exits(69);
    assert!(outcome.stderr.contains("redirects too often"), "{}", outcome.stderr);
    assert_eq!(web.asked().len(), 11);
    // What is asked for is not lost on the way.
    let web = Web::start(|asked| match (asked.path(), asked.method.as_str()) {
        ("/items", "POST") => Reply::status(302).header("Location", "/found"),
        ("/items", _) => Reply::status(301).header("Location", "/items/"),
        _ => good(),
    });
    let body = json!({ "path": "items", "body": { "filter": "x" } });
    let outcome = tap_api(&web.url, &body, &json!({})).go().exits(69);
    assert!(outcome.stderr.contains("the body of the request"), "{}", outcome.stderr);
    let params = json!({ "path": "items", "params": { "filter": "x" } });
    let outcome = tap_api(&web.url, &params, &json!({})).go().exits(69);
    assert!(outcome.stderr.contains("with other parameters or without"), "{}", outcome.stderr);
    assert_eq!(read(&web, &json!({})).success().records("t").len(), 2);
    let secret = "http://169.254.169.254/latest/meta-data";
    let web = Web::replies(vec![Reply::status(302).header("Location", secret)]);
    let blocked = json!({ "block_private_addresses": true });
    let outcome = read(&web, &blocked).exits(77);
    assert!(outcome.stderr.contains("not allowed"), "{}", outcome.stderr);
    assert!(web.asked().is_empty());
    for name in ["localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let stream = json!({ "path": "x" });
        let outcome = tap_api(&format!("http://{name}:9"), &stream, &blocked).go();
        assert_eq!(outcome.code, 77, "{name}: {}", outcome.stderr);
    }
}

#[test]
fn servers_that_are_not_there() {
    let stream = json!({ "path": "x" });
    let check = |url: &str, code: i32, text: &str| {
        let outcome = tap_api(url, &stream, &json!({ "connect_timeout_seconds": 0.2 })).go();
        assert_eq!(outcome.code, code, "{url}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{url}: {}", outcome.stderr);
    };
    check("http://127.0.0.1:9", 75, "attempts: 3");
    check(
        "http://127.0.0.1:9",
        75,
        "hint: no server listens at this address: check host and port in `api_url`",
    );
    check("http://nowhere.invalid", 75, "nowhere.invalid");
    let silent = Web::replies(vec![Reply::silence()]);
    check(&silent.url.replace("http://", "https://"), 75, "connect_timeout_seconds");
    check("https://127.0.0.1:9", 75, "hint: no server listens at this address");
    check("127.0.0.1", 78, "api_url");
    // Where a redirect leads, no setting says.
    let moved = || {
        let dead = Reply::status(302).header("Location", "http://127.0.0.1:9/moved");
        Web::start(move |_| dead.clone())
    };
    check(&moved().url, 75, "hint: the API redirects to this address");
    check(&moved().url, 75, "redirected from: GET http://");
    check("ftp://x", 78, "http or https");
    check("http://user:CANARY-5f3a@x", 78, "username");
}

#[test]
fn certificates_are_checked() {
    let scratch = folder();
    let script = "import http.server, ssl, sys, os\n\
        class H(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_GET(self):\n\
        \x20       down = self.path == '/down'\n\
        \x20       self.send_response(302 if down else 200)\n\
        \x20       if down: self.send_header('Location', 'http://127.0.0.1:9/x')\n\
        \x20       self.send_header('Content-Type', 'application/json')\n\
        \x20       self.end_headers(); self.wfile.write(b'[{\"id\":1}]')\n\
        \x20   def log_message(self, *a): pass\n\
        s = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H)\n\
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
        c.load_cert_chain(sys.argv[2] + '/server.crt', sys.argv[2] + '/server.key')\n\
        s.socket = c.wrap_socket(s.socket, server_side=True)\n\
        s.serve_forever()\n";
    let certificates = cluster().folder.display().to_string();
    let server = support::apis::Server::start(scratch.path(), |port| {
        let port = port.to_string();
        ["python3", "-c", script, &port, &certificates].map(str::to_owned).into()
    });
    let url = server.url.replace("http://", "https://");
    let ca = cluster().folder.join("ca.crt");
    let stream = json!({ "path": "x" });
    let trusting = json!({ "ca_file": ca });
    assert_eq!(tap_api(&url, &stream, &trusting).go().success().records("t").len(), 1);
    let outcome = tap_api(&url, &stream, &json!({})).go().exits(77);
    assert!(outcome.stderr.contains("ca_file"), "{}", outcome.stderr);
    let down = tap_api(&url, &json!({ "path": "down" }), &trusting).go().exits(69);
    assert!(down.stderr.contains("https to http"), "{}", down.stderr);
    let plain = tap_api(&server.url, &stream, &trusting).go();
    assert_eq!(plain.code, 75, "{}", plain.stderr);
    let web = Web::replies(vec![good()]);
    let wrong = web.url.replace("http://", "https://");
    let impatient = json!({ "ca_file": ca, "connect_timeout_seconds": 0.2 });
    assert_eq!(tap_api(&wrong, &stream, &impatient).go().code, 75);
}

#[test]
fn proxies_of_the_environment() {
    // A proxy that lets nobody in shows what it was asked.
    let proxy = Web::replies(vec![Reply::status(407)]);
    let url = proxy.url.replace("http://", "http://tom:CANARY-5f3a-proxy@");
    let web = Web::replies(vec![good()]);
    let stream = json!({ "path": "x" });
    let tap = || tap_api(&web.url, &stream, &json!({}));
    let outcome = tap().env("http_proxy", &url).go().exits(77);
    assert!(outcome.stderr.contains("the proxy refused"), "{}", outcome.stderr);
    assert_eq!(proxy.asked()[0].method, "CONNECT");
    assert!(web.asked().is_empty());
    tap().env("http_proxy", &url).env("no_proxy", "example.com,127.0.0.1").go().success();
    tap().env("https_proxy", &url).go().success();
    assert_eq!(web.asked().len(), 2);
    let proxy = Web::replies(vec![Reply::tunnel()]);
    let url = proxy.url.replace("http://", "http://tom:CANARY-5f3a-proxy@");
    tap().env("all_proxy", &url).go().success();
    let connect = &proxy.asked()[0];
    assert_eq!(format!("http://{}", connect.target), web.url);
    let credentials = connect.header("proxy-authorization");
    assert_eq!(credentials, Some("Basic dG9tOkNBTkFSWS01ZjNhLXByb3h5"));
    assert_eq!(web.asked().len(), 3);
    assert!(web.asked().iter().all(|asked| asked.header("proxy-authorization").is_none()));
}

#[test]
fn requests_are_kept_apart() {
    let web = Web::start(|asked| {
        let id = asked.before;
        Reply::json(&json!({ "data": [{ "id": id }], "next_page": (id < 4).then_some(id + 1) }))
    });
    let stream = json!({ "path": "x", "records_path": "$.data[*]" });
    let begun = std::time::Instant::now();
    let settings: Value =
        serde_json::from_str(r#"{ "requests_per_second": 2.0e1, "request_burst": 1 }"#).unwrap();
    tap_api(&web.url, &stream, &settings).go().success();
    // Five requests are at least four intervals apart.
    assert!(begun.elapsed() >= Duration::from_millis(200));
}
