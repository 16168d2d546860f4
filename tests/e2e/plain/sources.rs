//! Files, an API and an SFTP server of one config.yaml, at once.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use support::cluster::database;
use support::folder;
use support::run::file;
use support::sshd::{Sshd, login};
use support::web::{Reply, Web};

use super::files::{config, run};

#[test]
fn files_an_api_and_a_server_are_one_table() {
    let (folder, database, server) = (folder(), database("all"), Sshd::start());
    let root = folder.path();
    fs::create_dir(root.join("data")).unwrap();
    file(root, "data/a.csv", "id,amount\n1,1.5\n");
    file(root, "data/b.json", r#"{"id": 2, "amount": 2}"#);
    file(root, "data/c.txt", "id|amount\n3|3\n");
    server.put("/in/sample.csv", "id,amount\n4,4\n");
    let api = Web::start(|asked| {
        if asked.header("authorization") != Some("Bearer api-secret-word") {
            return Reply::status(401);
        }
        assert_eq!(asked.param("path"), Some("reports"));
        Reply::json(&json!([{ "id": 5, "amount": 5.25 }]))
    });
    let sources = format!(
        "- type: local\n  path: data\n- type: api\n  url: {}/records\n  \
         auth_token: ${{API_TOKEN}}\n  scheme: Bearer\n  folder_param: reports\n- type: sftp\n  \
         sftp:\n    host: 127.0.0.1\n    port: {}\n    username: {}\n    \
         password: ${{SFTP_PASSWORD}}\n    host_key_fingerprint: {}\n    \
         path: /in/sample.csv\n",
        api.url,
        server.port,
        login().user,
        login().fingerprint("host_ed25519"),
    );
    config(root, &sources, &database, "");
    let settings = server.settings(&json!([]));
    let password = settings["password"].as_str().unwrap();
    file(root, ".env", format!("SFTP_PASSWORD={password}\n"));
    let go = || run(root).env("API_TOKEN", "api-secret-word").go();
    let ran = go().success();
    let rows = database.psql("SELECT id, amount, source FROM sales ORDER BY 1");
    let expected = "1|1.5|local/a.csv\n2|2|local/b.json\n3|3|local/c.txt\n4|4|sftp\n5|5.25|api";
    assert_eq!(rows, expected, "{}", ran.stderr);
    let begun = Instant::now();
    let again = go().success();
    assert!(again.text().starts_with("nothing to do"), "{}{}", again.text(), again.stderr);
    assert!(begun.elapsed() < Duration::from_mins(1));
    for entry in walk(root) {
        let bytes = fs::read(&entry).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("api-secret-word"), "{}", entry.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
