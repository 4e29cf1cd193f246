//! Configurations, right and wrong.

use std::net::Ipv4Addr;

use super::config::{Config, hosts};

const START: &str = "pid /p;\nevents {}\n";

#[test]
fn a_configuration() {
    let text = format!(
        "{START}http {{ # all\n proxy_set_header Host $host;\n upstream web {{ server 10.0.0.1:8080 weight=2; server 10.0.0.2; }}\n\
         server {{ listen 80 default_server; server_name A.example *.b; location / {{ proxy_pass http://web/x; }}\n\
         location = /e {{ return 200 \"a\\n\"; }} }} }}\n"
    );
    let config = Config::parse("n", &text, &[]).unwrap();
    assert_eq!(config.upstreams[0].peers[0].weight, 2);
    assert_eq!(config.upstreams[0].peers[1].address, (Ipv4Addr::new(10, 0, 0, 2), 80));
    let server = &config.servers[0];
    assert_eq!(server.names, ["a.example", "*.b"]);
    assert_eq!(server.locations[0].pass.as_ref().unwrap().uri.as_deref(), Some("/x"));
    assert_eq!(server.locations[0].settings.headers.len(), 1);
    assert!(server.locations[1].exact);
    assert_eq!(hosts(&text), ["web"]);
}

/// Recorded from nginx 1.22.1.
#[test]
fn what_is_wrong_is_named_as_nginx_does() {
    for (text, wrong) in [
        ("foo;\n", "unknown directive \"foo\" in n:3"),
        ("http { foo bar; }\n", "unknown directive \"foo\" in n:3"),
        ("http { server { listen 80 }\n", "unexpected \"}\" in n:3"),
        ("http { server { listen 80; \n", "unexpected end of file, expecting \"}\" in n:4"),
        ("http { server { listen x y; } }\n", "host not found in \"x\" of the \"listen\" directive in n:3"),
        (
            "http { server { listen 99999; } }\n",
            "invalid port in \"99999\" of the \"listen\" directive in n:3",
        ),
        (
            "http { server { location / { proxy_pass http://nosuch; } } }\n",
            "host not found in upstream \"nosuch\" in n:3",
        ),
        ("http { upstream a { } }\n", "no servers are inside upstream in n:3"),
        (
            "http { server { proxy_pass http://1.2.3.4; } }\n",
            "\"proxy_pass\" directive is not allowed here in n:3",
        ),
        ("http { server { location / { } location / { } } }\n", "duplicate location \"/\" in n:3"),
        (
            "http { upstream a { server 1.2.3.4; } upstream a { server 1.2.3.4; } }\n",
            "duplicate upstream \"a\" in n:3",
        ),
        ("}\n", "unexpected \"}\" in n:3"),
        ("http { server { listen 80; listen 80; } }\n", "a duplicate listen 0.0.0.0:80 in n:3"),
        ("http { server { return; } }\n", "invalid number of arguments in \"return\" directive in n:3"),
        ("worker_processes x;\n", "\"worker_processes\" directive invalid value in n:3"),
        (
            "http { server { location { } } }\n",
            "invalid number of arguments in \"location\" directive in n:3",
        ),
        (
            "http { server { proxy_read_timeout x; } }\n",
            "\"proxy_read_timeout\" directive invalid value in n:3",
        ),
        ("http { server { location / { proxy_pass foo; } } }\n", "invalid URL prefix in n:3"),
        (
            "http { upstream a { server x.y.nosuch:80; } }\n",
            "host not found in upstream \"x.y.nosuch:80\" in n:3",
        ),
        (
            "http { server { location / { return 200 \"abc; } } }\n",
            "unexpected end of file, expecting \";\" or \"}\" in n:4",
        ),
        ("http { server { location / { return 200 $foo; } } }\n", "unknown \"foo\" variable"),
        ("events {}\n", "\"events\" directive is duplicate in n:3"),
        (
            "http { server { listen 80 default_server; } server { listen 80 default_server; } }\n",
            "a duplicate default server for 0.0.0.0:80 in n:3",
        ),
        (
            "daemon maybe;\n",
            "invalid value \"maybe\" in \"daemon\" directive, it must be \"on\" or \"off\" in n:3",
        ),
        ("http { gzip on; }\n", "not modelled yet: the directive \"gzip\" in n:3"),
    ] {
        assert_eq!(Config::parse("n", &format!("{START}{text}"), &[]).unwrap_err(), wrong, "{text}");
    }
    assert_eq!(Config::parse("n", "http {}\n", &[]).unwrap_err(), Config::NO_EVENTS);
}
