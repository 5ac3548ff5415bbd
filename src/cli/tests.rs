use super::*;
use crate::settings::{NAMES, Settings};

fn parse_line(line: &[&str]) -> Result<Command, clap::Error> {
    parse(std::iter::once("egret").chain(line.iter().copied()).map(OsString::from))
}

fn run(line: &[&str]) -> Run {
    match parse_line(line) {
        Ok(Command::Run(run)) => *run,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn every_setting_is_a_flag_of_run() {
    for name in NAMES {
        let layer = run(&["run", &format!("--{name}"), "x"]).flags.layer();
        let given = layer.get(name).unwrap_or_else(|| panic!("--{name} is lost"));
        assert_eq!(
            (given.source.as_str(), given.values.as_slice()),
            (format!("--{name}").as_str(), ["x".to_owned()].as_slice())
        );
        assert_eq!(layer.len(), 1, "--{name}");
    }
    assert!(run(&["run"]).flags.layer().is_empty());
}

#[test]
fn repeated_flags_add_up() {
    let layer =
        run(&["run", "--port-map", "443:8443", "--port-map", "80:8080,81:8081"]).flags.layer();
    let settings = Settings::merge([layer, Layer::new(), Layer::new()]).expect("valid");
    assert_eq!(
        settings.port_map.into_iter().collect::<Vec<_>>(),
        [(80, 8080), (81, 8081), (443, 8443)]
    );
}

#[test]
fn mistakes_on_the_command_line_exit_with_2() {
    for line in [
        &[][..],
        &["fly"],
        &["run", "--fast"],
        &["run", "--drain", "1s", "--drain", "2s"],
        &["check", "-o", "yaml"],
        &["explain"],
        &["explain", "ftp://edition.cnn.com/"],
        &["explain", "http://a b/"],
        &["explain", "http://a.com/x y"],
        &["explain", "http://a.com", "-H", "no colon"],
        &["explain", "http://a.com", "-X", "G T"],
        &["explain", "http://a.com", "--port", "0"],
        &["show", "weather"],
        &["show", "routes", "-c", "x", "--admin", "http://127.0.0.1:15000"],
    ] {
        assert_eq!(parse_line(line).expect_err("a mistake").exit_code(), 2, "{line:?}");
    }
    assert_eq!(parse_line(&["--help"]).expect_err("help").exit_code(), 0);
}

#[test]
fn a_request_to_explain_is_taken_apart() {
    let line = ["explain", "-c", "a", "-c", "b", "HTTPS://x"];
    assert!(parse_line(&line).is_err(), "schemes are written in lower case here");
    for (text, scheme, authority, path) in [
        (
            "http://edition.cnn.com/politics?a=b#top",
            Scheme::Http,
            "edition.cnn.com",
            "/politics?a=b",
        ),
        ("https://edition.cnn.com:8443", Scheme::Https, "edition.cnn.com:8443", "/"),
        ("edition.cnn.com?x", Scheme::Http, "edition.cnn.com", "/?x"),
        ("[::1]:80/", Scheme::Http, "[::1]:80", "/"),
    ] {
        let expected = Url { scheme, authority: authority.to_owned(), path: path.to_owned() };
        assert_eq!(read_url(text), Ok(expected), "{text}");
    }
    let Ok(Command::Explain(explain)) =
        parse_line(&["explain", "http://a.com", "-X", "POST", "-H", "x-y: 1: 2", "--port", "443"])
    else {
        panic!("not explain");
    };
    assert_eq!((explain.method.as_str(), explain.port), ("POST", Some(443)));
    assert_eq!(explain.headers, [Header { name: "x-y".to_owned(), value: "1: 2".to_owned() }]);
}

#[test]
fn without_path_and_host_the_usage_error_names_what_to_try() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let absent = directory.path().join("absent");
    let why = run(&["run"]).paths_or(&absent).expect_err("nothing to read");
    assert!(
        why.contains("--host") && why.contains("egret demo") && why.contains("-c PATH"),
        "{why}"
    );
    assert_eq!(run(&["run"]).paths_or(directory.path()), Ok(vec![directory.path().to_owned()]));
    assert_eq!(run(&["run", "--host", "a.com"]).paths_or(directory.path()), Ok(vec![]));
    assert_eq!(run(&["run", "-c", "x", "--host", "a.com"]).paths_or(&absent), Ok(vec!["x".into()]));
}
