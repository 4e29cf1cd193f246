//! What kube-proxy's sockets do for clients: health checks, ports that are held, and the proxies of the userspace mode.

use std::path::Path;

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::run;

/// What these prompts of node1 print, in a cluster of two nodes.
fn said(cluster: &str, prompts: &[&str]) -> Vec<String> {
    let topology = "{nodes: {node1: {}, node2: {}}, links: [{endpoints: [\"node1:eth0\", \"node2:eth0\"]}]}";
    let typed: String =
        prompts.iter().map(|prompt| format!("node1# {}\n", prompt.replace('\n', "\n> "))).collect();
    let text =
        format!("---\ntitle: t\ntopology: {topology}\ncluster: {cluster}\n---\n```console\n{typed}```\n");
    let lesson = Lesson::parse(Path::new("x.md"), text).unwrap_or_else(|error| panic!("{error:?}"));
    let outcomes = run(&lesson, SEED, |_, _| {}).unwrap_or_else(|error| panic!("{error:?}"));
    outcomes.into_iter().map(|outcome| outcome.output).collect()
}

/// A prompt that applies a manifest.
fn apply(manifest: &str) -> String {
    format!("kubectl apply -f - > /dev/null <<EOF\n{manifest}EOF")
}

/// Two web servers, one on each node, and a client.
const PODS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node1, containers: [{name: client, image: busybox, command: [sleep, infinity]}]}
---
";

fn service(spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: 10.96.0.10, selector: {{app: web}}, {spec}}}\n"
    )
}

const USERSPACE: &str = "{proxy: userspace, version: \"1.20\"}";
const ASK: &str = "for i in 1 2 3 4; do kubectl exec client -- curl -s http://10.96.0.10/; done";

#[test]
fn endpoints_of_the_userspace_mode_take_turns() {
    let manifest = apply(&(PODS.to_owned() + &service("ports: [{port: 80}]")));
    let all = said(USERSPACE, &[&manifest, "sleep 3", ASK, "curl -s http://10.96.0.10/"]);
    let asked: Vec<&str> = all[2].lines().collect();
    assert_eq!((asked.len(), asked[0], asked[1]), (4, asked[2], asked[3]), "{all:?}");
    assert_ne!(asked[0], asked[1]);
    assert_eq!(all[3].lines().next(), Some(asked[0]), "the node itself is answered, too");
}

#[test]
fn a_client_of_the_userspace_mode_stays_with_its_endpoint() {
    let manifest = apply(&(PODS.to_owned() + &service("sessionAffinity: ClientIP, ports: [{port: 80}]")));
    let all =
        said(USERSPACE, &[&manifest, "sleep 3", ASK, "kubectl exec web-1 -- curl -s http://10.96.0.10/"]);
    let asked: Vec<&str> = all[2].lines().collect();
    assert_eq!(asked, [asked[0]; 4]);
    assert_ne!(all[3].trim_end(), asked[0], "another client has the next endpoint's turn");
}

#[test]
fn an_endpoint_that_does_not_answer_is_passed_over() {
    let manifest = format!(
        "{PODS}apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: 10.96.0.10, ports: [{{port: 80}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-a, labels: {{kubernetes.io/service-name: web}}}}\n\
         addressType: IPv4\nports: [{{port: 80}}]\nendpoints: [{{addresses: [10.244.0.2]}}, {{addresses: [10.244.0.99]}}]\n"
    );
    let time =
        "kubectl exec client -- curl -s -o /dev/null -w '%{http_code} %{time_total}\\n' http://10.96.0.10/";
    let all = said(
        USERSPACE,
        &[&apply(&manifest), "sleep 3", time, time, "kubectl delete pod web-1 > /dev/null; sleep 2", time],
    );
    let mut waited = 0;
    for answer in &all[2..4] {
        let (code, time) = answer.trim_end().split_once(' ').expect("a code and a time");
        let time: f64 = time.parse().expect("a time");
        assert_eq!(code, "200", "{all:?}");
        assert!(time < 0.01 || (0.25..0.26).contains(&time), "{all:?}");
        waited += u32::from(time > 0.2);
    }
    // A request that finds the missing endpoint waits for it for a quarter of a second, and uses the other one's turn, too.
    assert!(waited > 0, "{all:?}");
    // Nobody is there: after a quarter, a half, one and two seconds the connection is closed without an answer.
    assert!(all[5].starts_with("000 3.75"), "{all:?}");
}

#[test]
fn datagrams_go_through_the_userspace_mode_and_back() {
    let manifest = format!(
        "{PODS}apiVersion: v1\nkind: Pod\nmetadata: {{name: dns, labels: {{app: dns}}}}\n\
         spec: {{nodeName: node2, containers: [{{name: dns, image: busybox, command: [sh, -c, \"echo pong | nc -u -l 5353\"]}}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: dns}}\n\
         spec: {{clusterIP: 10.96.0.53, selector: {{app: dns}}, ports: [{{port: 53, targetPort: 5353, protocol: UDP}}]}}\n"
    );
    let ask = "kubectl exec client -- sh -c 'echo ping | nc -u -w 1 10.96.0.53 53'";
    let sockets = "ss -unp | grep -c kube-proxy";
    let all = said(USERSPACE, &[&apply(&manifest), "sleep 3", ask, "kubectl logs dns", sockets]);
    assert_eq!((all[2].as_str(), all[3].as_str()), ("pong\n", "ping\n"), "{all:?}");
    // A client that is silent for 250 ms has no socket any more.
    assert_eq!(all[4].lines().next(), Some("0"), "{all:?}");
}

#[test]
fn node_ports_are_held_in_1_20() {
    let manifest =
        apply(&(PODS.to_owned() + &service("type: NodePort, ports: [{port: 80, nodePort: 30080}]")));
    let prompts = [&manifest, "sleep 3", "ss -ltnpH 'sport = :30080'", "nc -l 30080"];
    let all = said("{version: \"1.20\"}", &prompts);
    assert!(all[2].contains("0.0.0.0:30080") && all[2].contains("kube-proxy"), "{all:?}");
    assert!(all[3].contains("Address already in use"), "{all:?}");
    let all = said("{}", &prompts[..3]);
    assert_eq!(all[2], "");
}

#[test]
fn load_balancers_hear_which_node_has_endpoints() {
    let manifest = apply(&format!(
        "{}{}",
        PODS.replace("nodeName: node2", "nodeName: node1"),
        service(
            "type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32000, ports: [{port: 80}]"
        )
    ));
    for (cluster, status) in [
        ("{version: \"1.20\", load_balancers: 192.168.0.128/25}", None),
        ("{proxy: ipvs, load_balancers: 192.168.0.128/25}", Some("2")),
    ] {
        let asked = ["curl -s -i localhost:32000", "curl -s -i http://192.168.0.12:32000/any"];
        let all = said(cluster, &[&[manifest.as_str(), "sleep 3"], &asked[..]].concat());
        let here = all[2].replace('\r', "");
        assert!(here.starts_with("HTTP/1.1 200 OK\nContent-Type: application/json\n"), "{here}");
        assert!(here.contains("\"localEndpoints\": 2"), "{here}");
        let weight = here.lines().find_map(|line| line.strip_prefix("X-Load-Balancing-Endpoint-Weight: "));
        assert_eq!(weight, status);
        assert!(all[3].starts_with("HTTP/1.1 503 Service Unavailable"), "{}", all[3]);
    }
}

#[test]
fn kube_proxy_says_whether_it_keeps_up() {
    let code = |path| format!("curl -s -o /dev/null -w '%{{http_code}}\\n' localhost:10256/{path}");
    let prompts = ["healthz", "livez", ""].map(code);
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let codes = |cluster| said(cluster, &prompts).concat();
    assert_eq!(codes("{version: \"1.20\"}"), "200\n404\n404\n");
    assert_eq!(codes("{}"), "200\n200\n404\n");
    assert_eq!(codes("{proxy: none}"), "000\n000\n000\n");
}
