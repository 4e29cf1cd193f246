//! The directives of `nginx.conf`: where each may stand, and what it takes.

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Main,
    Events,
    Http,
    Upstream,
    Server,
    Location,
}

use Context::{Events, Http, Location, Main, Server, Upstream};

/// A directive.
#[derive(Debug)]
pub struct Directive {
    pub name: &'static str,
    pub contexts: &'static [Context],
    /// How many words it takes at least and at most.
    pub words: (usize, usize),
    /// The block that it opens.
    pub opens: Option<Context>,
    /// It may be given more than once in a block.
    pub repeats: bool,
}

const fn one(name: &'static str, contexts: &'static [Context], words: (usize, usize)) -> Directive {
    Directive { name, contexts, words, opens: None, repeats: false }
}

const fn many(name: &'static str, contexts: &'static [Context], words: (usize, usize)) -> Directive {
    Directive { name, contexts, words, opens: None, repeats: true }
}

const fn block(
    name: &'static str,
    contexts: &'static [Context],
    words: (usize, usize),
    opens: Context,
    repeats: bool,
) -> Directive {
    Directive { name, contexts, words, opens: Some(opens), repeats }
}

const EVERYWHERE: &[Context] = &[Http, Server, Location];

/// Those that are modelled.
const DIRECTIVES: &[Directive] = &[
    one("access_log", EVERYWHERE, (1, 1)),
    one("daemon", &[Main], (1, 1)),
    one("default_type", EVERYWHERE, (1, 1)),
    one("error_log", &[Main], (1, 2)),
    block("events", &[Main], (0, 0), Events, false),
    block("http", &[Main], (0, 0), Http, false),
    one("keepalive_timeout", EVERYWHERE, (1, 1)),
    many("listen", &[Server], (1, 2)),
    block("location", &[Server], (1, 2), Location, true),
    one("pid", &[Main], (1, 1)),
    one("proxy_connect_timeout", EVERYWHERE, (1, 1)),
    one("proxy_http_version", EVERYWHERE, (1, 1)),
    one("proxy_pass", &[Location], (1, 1)),
    one("proxy_read_timeout", EVERYWHERE, (1, 1)),
    many("proxy_set_header", EVERYWHERE, (2, 2)),
    many("return", &[Server, Location], (1, 2)),
    block("server", &[Http], (0, 0), Server, true),
    many("server", &[Upstream], (1, 6)),
    many("server_name", &[Server], (1, 99)),
    block("upstream", &[Http], (1, 1), Upstream, true),
    one("user", &[Main], (1, 2)),
    one("worker_connections", &[Events], (1, 1)),
    one("worker_processes", &[Main], (1, 1)),
];

/// Those of nginx that are not.
const UNMODELLED: &str = "absolute_redirect add_header alias allow auth_basic auth_request autoindex charset client_body_buffer_size \
    client_body_timeout client_header_buffer_size client_header_timeout client_max_body_size deny env error_page \
    etag expires fastcgi_pass geo grpc_pass gzip gzip_types hash if include index internal ip_hash keepalive keepalive_requests \
    large_client_header_buffers least_conn limit_conn limit_except limit_rate limit_req load_module log_format log_not_found \
    map master_process merge_slashes mirror multi_accept open_file_cache pcre_jit port_in_redirect proxy_bind proxy_buffer_size \
    proxy_buffering proxy_buffers proxy_cache proxy_cookie_path proxy_hide_header proxy_intercept_errors proxy_method \
    proxy_next_upstream proxy_next_upstream_tries proxy_pass_header proxy_redirect proxy_request_buffering \
    proxy_send_timeout proxy_set_body proxy_ssl_verify random real_ip_header recursive resolver rewrite root satisfy \
    send_timeout sendfile server_names_hash_bucket_size server_tokens set set_real_ip_from split_clients ssi ssl_certificate \
    ssl_certificate_key ssl_ciphers ssl_prefer_server_ciphers ssl_protocols ssl_session_cache stream stub_status \
    sub_filter tcp_nodelay tcp_nopush try_files types types_hash_max_size underscores_in_headers use uwsgi_pass \
    variables_hash_max_size worker_cpu_affinity worker_rlimit_nofile worker_shutdown_timeout zone";

/// Finds a directive for a block; an error is nginx's words.
pub fn find(name: &str, at: Context) -> Result<&'static Directive, String> {
    let named = DIRECTIVES.iter().filter(|directive| directive.name == name);
    match named.clone().find(|directive| directive.contexts.contains(&at)) {
        Some(directive) => Ok(directive),
        None if named.count() > 0 => Err(format!("\"{name}\" directive is not allowed here")),
        None if UNMODELLED.split_whitespace().any(|known| known == name) => {
            Err(format!("not modelled yet: the directive \"{name}\""))
        }
        None => Err(format!("unknown directive \"{name}\"")),
    }
}
