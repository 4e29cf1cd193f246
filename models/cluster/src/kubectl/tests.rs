//! `kubectl` on a machine of a cluster without kubelets.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::world::World;
use glassnet_userland::harness::{self, MemoryFiles};
use glassnet_userland::process::{
    Boxed, Child, Exit, Mounts, Nowhere, Output, Process, SharedWorld, Signals, Sleepers, Spawner, run,
};

use crate::api::ApiServer;
use crate::command::Given;
use crate::config::{Config, Range};

/// Keeps what is written.
#[derive(Default)]
struct Kept(Mutex<Vec<u8>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.0.lock().unwrap())).into_owned()
    }
}

impl Output for Kept {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }
}

/// Starts nothing.
struct NoShell;

impl Spawner for NoShell {
    fn find<'a>(&'a self, _: &'a str, _: &'a str) -> Boxed<'a, io::Result<String>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }
    fn spawn(&self, _: Child) -> Boxed<'_, i32> {
        Box::pin(async { 127 })
    }
    fn detach(&self, _: Child) -> Arc<Exit> {
        Arc::default()
    }
}

/// A cluster with files, its controllers and its scheduler; kubelets are missing.
pub(super) struct Cluster {
    world: SharedWorld,
    sleepers: Arc<Sleepers>,
    files: Arc<MemoryFiles>,
    pub(super) api: Arc<ApiServer>,
}

impl Cluster {
    pub(super) fn new() -> Cluster {
        let mut world = World::new(1);
        world.add_machine("node1", 1);
        let config = Config {
            nodes: BTreeMap::new(),
            pods: Range::parse("10.244.0.0/16").unwrap(),
            services: Range::parse("10.96.0.0/12").unwrap(),
            network: crate::config::Network::Kubenet,
            proxy: None,
            balancers: None,
            announce: None,
            dns: None,
            policy: None,
            ingress: false,
            delay: glassnet_sim::Nanos::ZERO,
        };
        crate::start(&mut world, config, 1);
        let api = ApiServer::in_world(&world).expect("a cluster");
        let (sleepers, files) = (Arc::default(), Arc::default());
        Cluster { world: Arc::new(Mutex::new(world)), sleepers, files, api }
    }

    pub(super) fn file(&self, path: &str, text: &str) {
        self.files.0.lock().unwrap().insert(format!("/root/{path}"), text.as_bytes().to_vec());
    }

    fn process(&self, words: &[&str], stdin: &str, streams: [Arc<dyn Output>; 2]) -> Process {
        let [stdout, stderr] = streams;
        Process {
            world: self.world.clone(),
            machine: MachineId(0),
            netns: NetnsId(0),
            affinity: CpuMask::ALL,
            vrf: None,
            mounts: Mounts::default(),
            program: crate::program(words[0]).expect("a program"),
            pid: 1000,
            argv: words.iter().map(|word| (*word).to_owned()).collect(),
            env: BTreeMap::new(),
            cwd: "/root".to_owned(),
            stdin: Given::new(stdin.as_bytes()),
            stdout,
            stderr,
            files: self.files.clone(),
            signals: Arc::new(Signals::default()),
            shell: Arc::new(NoShell),
            sleepers: self.sleepers.clone(),
            printed: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Runs a command while controllers work; its status and what it printed. `None`: it goes on for ever.
    pub(super) fn run(&self, words: &[&str], stdin: &str) -> (Option<i32>, String, String) {
        let (stdout, stderr) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        let mut process = self.process(words, stdin, [stdout.clone(), stderr.clone()]);
        let nowhere = || [Arc::new(Nowhere) as Arc<dyn Output>, Arc::new(Nowhere)];
        let mut manager = self.process(&["kube-controller-manager"], "", nowhere());
        let mut scheduler = self.process(&["kube-scheduler"], "", nowhere());
        let mut agents = [Box::pin(run(&mut manager)) as Boxed<'_, i32>, Box::pin(run(&mut scheduler))];
        let mut command = pin!(run(&mut process));
        let together = poll_fn(|cx| {
            for agent in &mut agents {
                let _ = agent.as_mut().poll(cx);
            }
            self.kubelet();
            let polled = command.as_mut().poll(cx);
            if polled.is_ready() {
                for agent in &mut agents {
                    let _ = agent.as_mut().poll(cx);
                }
            }
            match polled {
                Poll::Ready(status) => Poll::Ready(status),
                Poll::Pending => Poll::Pending,
            }
        });
        let status = harness::drive(&self.world, &self.sleepers, together);
        (status, stdout.text(), stderr.text())
    }

    /// Ends every pod that is to run once, and every command that is to run in a pod; removes pods that are to go.
    fn kubelet(&self) {
        for exec in self.api.take_execs("node1") {
            *exec.ended.lock().unwrap() = Some(exec.child.argv.len() as i32);
        }
        let pods: Vec<k8s_openapi::api::core::v1::Pod> = self.api.store().list().cloned().collect();
        for mut pod in pods {
            let spec = pod.spec.clone().unwrap();
            let key = crate::object::Object::from(pod.clone()).key();
            let now = glassnet_sim::Nanos::ZERO;
            if spec.restart_policy.as_deref() != Some("Never") || spec.node_name.is_none() {
                continue;
            }
            if pod.metadata.deletion_timestamp.is_some() {
                self.api.store().remove(&key, now);
            } else if self.api.logged(&key, &key.name, 0).is_none() {
                let log = self.api.new_log(&key, &key.name);
                let mut writing = log.write(b"hello\n");
                let waker = std::task::Waker::noop();
                assert!(writing.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready());
                drop(writing);
                let ended = serde_json::json!({"exitCode": 3, "reason": "Error"});
                pod.status = serde_json::from_value(serde_json::json!({
                    "phase": "Failed",
                    "containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}}],
                }))
                .unwrap();
                self.api.store().update(pod, now).unwrap();
            }
        }
    }

    /// Runs `kubectl` with words between blanks: status, then standard output and error together.
    pub(super) fn kubectl(&self, line: &str) -> (i32, String) {
        self.kubectl_with(line, "")
    }

    pub(super) fn kubectl_with(&self, line: &str, stdin: &str) -> (i32, String) {
        let words: Vec<&str> = ["kubectl"].into_iter().chain(line.split(' ')).collect();
        let (status, stdout, stderr) = self.run(&words, stdin);
        (status.unwrap_or(-1), format!("{stdout}{stderr}"))
    }

    #[track_caller]
    pub(super) fn says(&self, line: &str, status: i32, expected: &str) {
        assert_eq!(self.kubectl(line), (status, expected.to_owned()), "{line}");
    }
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  clusterIP: 10.96.0.10\n  selector:\n    app: web\n  \
                       ports:\n  - port: 80\n    targetPort: 8080\n";

#[test]
fn apply_makes_changes_and_leaves_alone() {
    let cluster = Cluster::new();
    cluster.file("web.yaml", SERVICE);
    cluster.says("apply -f web.yaml", 0, "service/web created\n");
    cluster.says("apply -f web.yaml", 0, "service/web unchanged\n");
    cluster.file("web.yaml", &SERVICE.replace("8080", "9090"));
    cluster.says("apply -f web.yaml --dry-run=server", 0, "service/web configured (server dry run)\n");
    cluster.says("apply -f web.yaml", 0, "service/web configured\n");
    cluster.says("get svc web -o jsonpath={.spec.ports[0].targetPort}", 0, "9090");
    cluster.says(
        "get svc",
        0,
        "NAME         TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)   AGE\n\
         kubernetes   ClusterIP   10.96.0.1    <none>        443/TCP   0s\n\
         web          ClusterIP   10.96.0.10   <none>        80/TCP    0s\n",
    );
    cluster.says("delete -f web.yaml", 0, "service \"web\" deleted from default namespace\n");
    cluster.says("delete svc web", 1, "Error from server (NotFound): services \"web\" not found\n");
}

#[test]
fn bad_manifests_are_refused_whole() {
    let cluster = Cluster::new();
    let says = |text: &str, expected: &str| {
        cluster.file("a.yaml", text);
        cluster.says("apply -f a.yaml", 1, expected);
        cluster.says("get svc web", 1, "Error from server (NotFound): services \"web\" not found\n");
    };
    says(
        &SERVICE.replace("port: 80", "port: 70000"),
        "The Service \"web\" is invalid: spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive\n",
    );
    says(
        &SERVICE.replace("spec:\n", "spec:\n  foo: 1\n"),
        "Error from server (BadRequest): error when creating \"a.yaml\": Service in version \"v1\" cannot be handled as a Service: strict \
         decoding error: unknown field \"spec.foo\"\n",
    );
    says(
        &SERVICE.replace("10.96.0.10", "10.1.0.10"),
        "The Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.1.0.10\"]: failed to allocate IP 10.1.0.10: the provided IP \
         (10.1.0.10) is not in the valid range. The range of valid IPs is 10.96.0.0/12\n",
    );
    cluster.says("apply -f missing.yaml", 1, "error: the path \"missing.yaml\" does not exist\n");
}

#[test]
fn generators_make_and_show() {
    let cluster = Cluster::new();
    cluster.says("create deployment web --image=nginx --replicas=2", 0, "deployment.apps/web created\n");
    cluster.says(
        "create deployment web --image=nginx",
        1,
        "error: failed to create deployment: deployments.apps \"web\" already exists\n",
    );
    cluster.says(
        "create deployment a --image=nginx:1 --dry-run=client -o yaml",
        0,
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    app: a\n  name: a\nspec:\n  replicas: 1\n  selector:\n    \
         matchLabels:\n      app: a\n  strategy: {}\n  template:\n    metadata:\n      labels:\n        app: a\n    spec:\n      containers:\n      \
         - image: nginx:1\n        name: nginx\n        resources: {}\nstatus: {}\n",
    );
    cluster.says("create namespace blue", 0, "namespace/blue created\n");
    cluster.says(
        "create service nodeport web --tcp=80:8080 --node-port=30080 -n blue",
        0,
        "service/web created\n",
    );
    cluster.says("get deploy,svc -A -o name", 0, "deployment.apps/web\nservice/web\nservice/kubernetes\n");
    cluster.says("get pods -n blue", 0, "No resources found in blue namespace.\n");
    let (status, pods) = cluster.kubectl("get pods --no-headers");
    assert_eq!((status, pods.lines().count()), (0, 2), "{pods}");
}

/// A node that is ready, and a kubelet's word that all its pods run.
fn with_node(cluster: &Cluster) {
    use k8s_openapi::api::core::v1::Node;
    let node = serde_json::json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
    });
    let node: Node = serde_json::from_value(node).unwrap();
    cluster.api.store().create(node, glassnet_sim::Nanos::ZERO).unwrap();
}

fn run_pods(cluster: &Cluster) {
    use k8s_openapi::api::core::v1::Pod;
    let mut store = cluster.api.store();
    let pods: Vec<Pod> = store.list::<Pod>().cloned().collect();
    for mut pod in pods {
        let name = pod.spec.as_ref().unwrap().containers[0].name.clone();
        pod.status = serde_json::from_value(serde_json::json!({
            "phase": "Running", "podIP": "10.244.0.5", "startTime": "2024-01-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}],
        }))
        .unwrap();
        store.update(pod, glassnet_sim::Nanos::ZERO).unwrap();
    }
}

#[test]
fn deployments_are_scaled_exposed_and_rolled_out() {
    let cluster = Cluster::new();
    with_node(&cluster);
    cluster.kubectl("create deployment web --image=nginx --port=80");
    cluster.says("scale deployment web --replicas=3", 0, "deployment.apps/web scaled\n");
    cluster.says("scale deployment web", 1, "error: required flag(s) \"replicas\" not set\n");
    run_pods(&cluster);
    cluster.says("rollout status deploy/web", 0, "deployment \"web\" successfully rolled out\n");
    cluster.says("expose deployment web --type=NodePort --name=front", 0, "service/front exposed\n");
    cluster.says(
        "get svc front -o jsonpath={.spec.ports[0].targetPort}{.spec.selector.app}{.spec.type}",
        0,
        "80webNodePort",
    );
    cluster.says("set image deploy/web nginx=nginx:2", 0, "deployment.apps/web image updated\n");
    cluster.says("set image deploy/web x=nginx:2", 1, "error: unable to find container named \"x\"\n");
    cluster.says(
        "rollout history deploy web",
        0,
        "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n",
    );
    cluster.says("rollout undo deploy web", 0, "deployment.apps/web rolled back\n");
    cluster.says("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}", 0, "nginx");
    cluster.says("rollout restart deploy web", 0, "deployment.apps/web restarted\n");
    cluster.says("patch deploy web -p {\"spec\":{\"replicas\":1}}", 0, "deployment.apps/web patched\n");
    cluster.says(
        "patch deploy web -p {\"spec\":{\"replicas\":1}}",
        0,
        "deployment.apps/web patched (no change)\n",
    );
}

#[test]
fn labels_and_nodes() {
    let cluster = Cluster::new();
    with_node(&cluster);
    cluster.says("label node node1 zone=a", 0, "node/node1 labeled\n");
    cluster.says(
        "label node node1 zone=b",
        1,
        "error: 'zone' already has a value (a), and --overwrite is false\n",
    );
    cluster.says("label node node1 zone=b --overwrite", 0, "node/node1 labeled\n");
    cluster.says("label node node1 zone-", 0, "node/node1 unlabeled\n");
    cluster.says("annotate ns default a=1", 0, "namespace/default annotated\n");
    cluster.says("cordon node1", 0, "node/node1 cordoned\n");
    cluster.says("cordon node1", 0, "node/node1 already cordoned\n");
    cluster.says(
        "get nodes",
        0,
        "NAME    STATUS                     ROLES    AGE   VERSION\nnode1   Ready,SchedulingDisabled   <none>   0s    \n",
    );
    cluster.says("uncordon node1", 0, "node/node1 uncordoned\n");
    cluster.says("run web --image=nginx", 0, "pod/web created\n");
    run_pods(&cluster);
    cluster.says("wait --for=condition=Ready pod/web", 0, "pod/web condition met\n");
    cluster.says(
        "get pods",
        0,
        "NAME   READY   STATUS    RESTARTS   AGE\nweb    1/1     Running   0          0s\n",
    );
    cluster.says(
        "drain node1",
        1,
        "node/node1 cordoned\nerror: unable to drain node \"node1\" due to error: cannot delete Pods that declare no controller (use \
         --force to override): default/web, continuing command...\nThere are pending nodes to be drained:\n node1\ncannot delete Pods \
         that declare no controller (use --force to override): default/web\n",
    );
    cluster.says(
        "wait --for=delete pod/web --timeout=1s",
        1,
        "error: timed out waiting for the condition on pods/web\n",
    );
    cluster.says("delete pod web --wait=false", 0, "pod \"web\" deleted from default namespace\n");
}

#[test]
fn what_is_not_modelled_is_refused_by_name() {
    let cluster = Cluster::new();
    cluster.says("diff -f a", 2, "not modelled yet: kubectl diff\n");
    cluster.says("get pods -o go-template=x", 2, "not modelled yet: kubectl -o go-template\n");
    cluster.says("get sts", 2, "not modelled yet: kubectl with sts\n");
    cluster.says("get foo", 1, "error: the server doesn't have a resource type \"foo\"\n");
    cluster.says("--context=x get pods", 1, "error: context \"x\" does not exist\n");
}

#[test]
fn one_command_in_a_pod_of_its_own_or_in_another() {
    let cluster = Cluster::new();
    with_node(&cluster);
    let (status, text) = cluster.kubectl("run a --image=busybox -i --rm --restart=Never -q -- echo hello");
    assert_eq!(
        (status, text.as_str()),
        (3, "hello\npod \"a\" deleted from default namespace\npod default/a terminated (Error)\n\n")
    );
    cluster.kubectl("run web --image=nginx");
    run_pods(&cluster);
    cluster.says("exec web -- ls -l", 2, "command terminated with exit code 2\n");
    cluster.says("exec web ls", 1, "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples\n");
    cluster.says("exec web -c b -- ls", 1, "error: container b is not valid for pod web out of: web\n");
    cluster.says("exec nosuch -- ls", 1, "Error from server (NotFound): pods \"nosuch\" not found\n");
}

#[test]
fn services_are_described_with_their_endpoints() {
    let cluster = Cluster::new();
    with_node(&cluster);
    cluster.kubectl("run web --image=nginx --port=80 --labels=app=web");
    run_pods(&cluster);
    cluster.file("web.yaml", SERVICE);
    cluster.kubectl("apply -f web.yaml");
    cluster.says(
        "describe svc web",
        0,
        "Name:                     web\nNamespace:                default\nLabels:                   <none>\nAnnotations:              \
         <none>\nSelector:                 app=web\nType:                     ClusterIP\nIP Family Policy:         SingleStack\nIP \
         Families:              IPv4\nIP:                       10.96.0.10\nIPs:                      10.96.0.10\nPort:                     \
         <unset>  80/TCP\nTargetPort:               8080/TCP\nEndpoints:                10.244.0.5:8080\nSession Affinity:         \
         None\nInternal Traffic Policy:  Cluster\nEvents:                   <none>\n",
    );
    cluster.says("get endpoints web --no-headers", 0, "web   10.244.0.5:8080   0s\nWarning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n");
    cluster.says("describe svc nosuch", 1, "Error from server (NotFound): services \"nosuch\" not found\n");
}

#[test]
fn what_may_not_change_does_not() {
    let cluster = Cluster::new();
    cluster.kubectl("create deployment web --image=nginx");
    let patch = "patch deploy web -p {\"spec\":{\"selector\":{\"matchLabels\":{\"x\":\"y\"}},\"template\":{\"metadata\":{\"labels\":{\"x\":\"y\"}}}}}";
    cluster.says(
        patch,
        1,
        "The Deployment \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"x\":\"y\"}}: field is \
         immutable\n",
    );
    cluster.says("delete ns default", 1, "Error from server (Forbidden): namespaces \"default\" is forbidden: this namespace may not be deleted\n");
    cluster.kubectl("create service nodeport web --tcp=80");
    cluster.says("patch svc web -p {\"spec\":{\"type\":\"ClusterIP\"}}", 0, "service/web patched\n");
    cluster.says(
        "get svc web -o jsonpath={.spec.type}{.spec.ports[0].nodePort}{.spec.externalTrafficPolicy}",
        0,
        "ClusterIP",
    );
}

const POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {team: ops}}
      podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}
    ports: [{port: http}, {port: 8000, endPort: 8010, protocol: UDP}]
  - {}
";

#[test]
fn network_policies() {
    let cluster = Cluster::new();
    cluster.file("web.yaml", POLICY);
    cluster.says("apply -f web.yaml", 0, "networkpolicy.networking.k8s.io/web created\n");
    cluster.says("get netpol", 0, "NAME   POD-SELECTOR   AGE\nweb    app=web        0s\n");
    cluster.says(
        "describe networkpolicy web",
        0,
        "Name:         web\nNamespace:    default\nCreated on:   2023-11-14 22:13:20 +0000 UTC\nLabels:       <none>\nAnnotations:  \
         <none>\nSpec:\n  PodSelector:     app=web\n  Allowing ingress traffic:\n    To Port: http/TCP\n    To Port Range: \
         8000-8010/UDP\n    From:\n      NamespaceSelector: team=ops\n      PodSelector: app in (a,b)\n    From:\n      IPBlock:\n        \
         CIDR: 10.0.0.0/8\n        Except: 10.1.0.0/16, 10.2.0.0/16\n    ----------\n    To Port: <any> (traffic allowed to all ports)\n    \
         From: <any> (traffic not restricted by source)\n  Allowing egress traffic:\n    <none> (Selected pods are isolated for egress \
         connectivity)\n  Policy Types: Ingress, Egress\n",
    );
    cluster.says(
        "get netpol web -o jsonpath={.metadata.generation}{.spec.ingress[0].ports[0].protocol}",
        0,
        "1TCP",
    );
    // Lists of rules are replaced as a whole.
    cluster.file("web.yaml", &POLICY.replace("8000, endPort: 8010", "9000").replace("  - {}\n", ""));
    cluster.says("apply -f web.yaml", 0, "networkpolicy.networking.k8s.io/web configured\n");
    let ports = "get netpol web -o jsonpath={.metadata.generation}{.spec.ingress[*].ports[*].port}{.spec.ingress[*].ports[*].endPort}";
    cluster.says(ports, 0, "2http 9000");
    cluster.file(
        "bad.yaml",
        &POLICY.replace("port: 8000, endPort: 8010", "port: 0").replace("10.1.0.0/16", "11.0.0.0/16"),
    );
    cluster.says(
        "create -f bad.yaml --dry-run=server",
        1,
        "The NetworkPolicy \"web\" is invalid: \n* spec.ingress[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, \
         inclusive\n* spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`\n",
    );
    cluster.says(
        "delete netpol web",
        0,
        "networkpolicy.networking.k8s.io \"web\" deleted from default namespace\n",
    );
}
