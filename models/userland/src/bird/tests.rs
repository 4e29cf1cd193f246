//! Texts of errors are those of BIRD 2.0.12.

use super::config::{Config, Included, Refused};

/// Each configuration of `errors.txt` is refused as BIRD refuses it, or taken.
#[test]
fn errors_of_configurations() {
    let mut wrong = String::new();
    let mut text = String::new();
    for line in include_str!("errors.txt").lines().skip(1) {
        let Some(expected) = line.strip_prefix("= ").or_else(|| line.strip_prefix('=')) else {
            text += line;
            text += "\n";
            continue;
        };
        let got = match Config::parse("F", &text, &Included::new()) {
            Ok(_) => String::new(),
            Err(Refused::Error(why)) => why.trim_start_matches("F:").to_owned(),
            Err(Refused::Include(file)) => format!("include {file}"),
        };
        if got != expected {
            wrong += &format!("{text}  BIRD: {expected}\n  here: {got}\n");
        }
        text.clear();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn included_files() {
    let text = "include \"more.conf\";\n  include \"dir/*.conf\";";
    let parse = |included: &Included| Config::parse("/etc/bird/bird.conf", text, included);
    let mut included = Included::new();
    assert_eq!(parse(&included), Err(Refused::Include("/etc/bird/more.conf".to_owned())));
    let more = vec![("/etc/bird/more.conf".to_owned(), "protocol device {}".to_owned())];
    included.insert("/etc/bird/more.conf".to_owned(), more);
    assert_eq!(parse(&included), Err(Refused::Include("/etc/bird/dir/*.conf".to_owned())));
    let bad = vec![("/etc/bird/dir/a.conf".to_owned(), "\nfoo;".to_owned())];
    included.insert("/etc/bird/dir/*.conf".to_owned(), bad);
    let expected = "/etc/bird/dir/a.conf:2:1 syntax error, unexpected CF_SYM_UNDEFINED".to_owned();
    assert_eq!(parse(&included), Err(Refused::Error(expected)));
}

/// Calico's templates as its confd writes them for a node of a full mesh.
#[test]
fn calicos_configuration() {
    let text = r#"
        router id 192.168.0.1;
        function apply_communities () { }
        function calico_aggr () {
          if ( net = 10.244.1.0/26 ) then { accept; }
          if ( net ~ 10.244.1.0/26 ) then { reject; }
        }
        filter calico_export_to_bgp_peers {
          apply_communities();
          calico_aggr();
          if ( net ~ 10.244.0.0/16 ) then { accept; }
          reject;
        }
        filter calico_kernel_programming {
          if ( net ~ 10.244.0.0/16 ) then { krt_prefsrc = 192.168.0.1; accept; }
          accept;
        }
        protocol static { ipv4; route 10.244.1.0/26 blackhole; }
        protocol kernel {
          learn; persist; scan time 2; graceful restart; merge paths on;
          ipv4 { import all; export filter calico_kernel_programming; };
        }
        protocol device { debug { states }; scan time 2; }
        protocol direct { debug { states }; ipv4; interface -"cali*", -"kube-ipvs*", "*"; }
        template bgp bgp_template {
          debug { states };
          description "Connection to BGP peer";
          local as 64512;
          multihop;
          ipv4 { gateway recursive; import all; export filter calico_export_to_bgp_peers; add paths on; };
          source address 192.168.0.1;
          graceful restart;
          connect delay time 2; connect retry time 5; error wait time 5,30;
        }
        protocol bgp Mesh_192_168_0_2 from bgp_template { neighbor 192.168.0.2 as 64512; passive on; }
    "#;
    let config = Config::parse("F", text, &Included::new()).unwrap_or_else(|why| panic!("{why:?}"));
    let names: Vec<&str> = config.protocols.iter().map(|proto| proto.name.as_str()).collect();
    assert_eq!(names, ["static1", "kernel1", "device1", "direct1", "Mesh_192_168_0_2"]);
}
