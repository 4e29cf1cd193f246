//! `glassnet sweep` and `glassnet merge` as users and clusters call them.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const LESSON: &str = "---
title: t
topology:
  nodes: { node1: { cpus: 2 }, node2: {} }
  links: [{ endpoints: [\"node1:eth0\", \"node2:eth0\"] }]
measures: { product: \"node1: echo $(( ${a:-1} * ${b:-1} ))\" }
---
```console
node1# ip link set eth0 up
```
";

/// A directory of this test with the lesson in it.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sweep-{name}"));
    // It is there only after a test that failed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a directory");
    fs::write(folder.join("lesson.md"), LESSON).expect("a lesson");
    folder
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glassnet"));
    command.current_dir(folder).stdin(Stdio::null());
    for name in ["JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"] {
        command.env_remove(name);
    }
    command
}

/// Arguments are separated by blanks.
fn glassnet(folder: &Path, args: &str) -> Output {
    command(folder).args(args.split(' ')).output().expect("the command")
}

fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What a command says that could not be done.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Names of the files in a directory.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_table_csv_json_lines_and_a_chart() {
    let folder = folder("outputs");
    let args = "sweep lesson.md --set a=2,3k --set b=1..3/3 --csv x.csv --jsonl x.jsonl --chart x.svg";
    let expected = "   a  b  product\n   2  1        2\n   2  2        4\n   2  3        6\n\
        3000  1     3000\n3000  2     6000\n3000  3     9000\n";
    assert_eq!(printed(&glassnet(&folder, args)), expected);
    assert_eq!(
        read(&folder, "x.csv"),
        "a,b,product\n2,1,2\n2,2,4\n2,3,6\n3000,1,3000\n3000,2,6000\n3000,3,9000\n"
    );
    let lines: Vec<Value> =
        read(&folder, "x.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 7);
    assert_eq!(
        lines[5],
        serde_json::json!({ "point": 4, "set": { "a": 3000, "b": 2 }, "measured": { "product": 6000 } })
    );
    assert_eq!(read(&folder, "x.svg").matches("<circle").count(), 6);
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn results_are_the_same_whatever_the_threads() {
    let folder = folder("threads");
    let mut found = Vec::new();
    for jobs in [1, 2, 7] {
        let args = format!(
            "sweep lesson.md --set a=1..6/6 --set seed=1,2 --set nics.eth0.rx_ring=64,256 --set nodes.node1.cpus=1,2 -j {jobs} --jsonl {jobs}.jsonl"
        );
        let mut with = args.split(' ').map(str::to_owned).collect::<Vec<_>>();
        with.extend([
            "--measure=ring=node1: ethtool -g eth0 | awk '/^RX:/ {ring = $2} END {print ring}'".to_owned(),
            "--measure=mac=node1: echo $((16#$(cut -d: -f6 /sys/class/net/eth0/address)))".to_owned(),
        ]);
        let table = printed(&command(&folder).args(&with).output().expect("the command"));
        found.push((table, read(&folder, &format!("{jobs}.jsonl"))));
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    let rows: Vec<Vec<&str>> =
        found[0].0.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 48);
    assert!(rows.iter().all(|row| row[0] == row[4] && row[2] == row[5]), "{}", found[0].0);
    let macs = |seed: &str| rows.iter().filter(|row| row[1] == seed).map(|row| row[6]).collect::<Vec<_>>();
    assert!(
        macs("1").iter().all(|mac| *mac == macs("1")[0]) && macs("1")[0] != macs("2")[0],
        "{}",
        found[0].0
    );
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn an_interrupted_sweep_goes_on_where_it_stopped() {
    let folder = folder("resume");
    let args = "sweep lesson.md --set a=1..8/8 --jsonl x.jsonl";
    let table = printed(&glassnet(&folder, args));
    let whole = read(&folder, "x.jsonl");
    // Not even the first line was whole; a line was half-written; a point was changed, which shows that it is not run again.
    for left in [whole[..20].to_owned(), whole[..whole.len() - 30].to_owned(), String::new(), whole.clone()] {
        fs::write(folder.join("x.jsonl"), left).expect("a record");
        assert_eq!(printed(&glassnet(&folder, args)), table);
        assert_eq!(read(&folder, "x.jsonl"), whole);
    }
    let changed = whole.replace("{\"product\":3}", "{\"product\":33}");
    fs::write(folder.join("x.jsonl"), &changed[..changed.len() - 3]).expect("a record");
    printed(&glassnet(&folder, args));
    assert_eq!(read(&folder, "x.jsonl"), changed);
    for (other, word) in [
        ("sweep lesson.md --set a=1..8/8 --jsonl x.jsonl --seed 2", "its seed is 1, not 2"),
        ("sweep lesson.md --set a=1..4/4 --jsonl x.jsonl", "its grid is a=1,2,3,4,5,6,7,8, not a=1,2,3,4"),
        (
            "sweep lesson.md --set a=1..8/8 --jsonl x.jsonl --partition 1/2",
            "point 1, which is not of partition 1/2",
        ),
        ("sweep lesson.md --set a=1..8/8 --jsonl lesson.md", "lesson.md: it is no record of a sweep"),
    ] {
        let said = refused(&glassnet(&folder, other));
        assert!(said.contains(word), "{said}");
    }
    fs::write(folder.join("lesson.md"), LESSON.replace("title: t", "title: u")).expect("a lesson");
    assert!(refused(&glassnet(&folder, args)).contains("the text of the lesson was another"));
    assert_eq!(read(&folder, "x.jsonl"), changed, "what is refused is left alone");
    for (line, word) in
        [("{\"point\":99,\"set\":{},\"measured\":{}}\n", "no point 99"), ("{}\n", "line 10: ")]
    {
        fs::write(folder.join("lesson.md"), LESSON).expect("a lesson");
        fs::write(folder.join("x.jsonl"), whole.clone() + line).expect("a record");
        let said = refused(&glassnet(&folder, args));
        assert!(said.contains(word), "{said}");
    }
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn partitions_make_a_whole() {
    let folder = folder("merge");
    let args = "sweep lesson.md --set a=1..5/5 --set b=2,3";
    let table = printed(&glassnet(&folder, &format!("{args} --jsonl whole.jsonl --csv whole.csv")));
    for part in 1..=3 {
        printed(&glassnet(&folder, &format!("{args} --partition {part}/3 --jsonl {part}.jsonl")));
    }
    let merged =
        glassnet(&folder, "merge 3.jsonl 1.jsonl 2.jsonl -o all.jsonl --csv all.csv --chart all.svg");
    assert_eq!(printed(&merged), table);
    assert_eq!(read(&folder, "all.jsonl"), read(&folder, "whole.jsonl"));
    assert_eq!(read(&folder, "all.csv"), read(&folder, "whole.csv"));
    printed(&glassnet(
        &folder,
        "sweep lesson.md --set a=1..5/5 --set b=2,4 --partition 2/3 --jsonl other.jsonl",
    ));
    fs::write(folder.join("half.jsonl"), read(&folder, "2.jsonl").trim_end()).expect("half a file");
    let before = files(&folder);
    for (parts, words) in [
        ("1.jsonl 3.jsonl", &["3 of 10 points are missing", "1 (a=1 b=3)", "4 (a=3 b=2)", "7 (a=4 b=3)"][..]),
        ("1.jsonl 2.jsonl 3.jsonl 2.jsonl", &["point 1 (a=1 b=3) is in 2.jsonl and in 2.jsonl"]),
        (
            "1.jsonl other.jsonl 3.jsonl",
            &["other.jsonl is of another sweep than 1.jsonl: its grid is a=1,2,3,4,5 b=2,4, not"],
        ),
        ("1.jsonl half.jsonl 3.jsonl", &["half.jsonl: its last line is half-written"]),
        ("1.jsonl lesson.md", &["lesson.md: it is no record of a sweep"]),
        ("1.jsonl nothing.jsonl", &["nothing.jsonl: No such file"]),
    ] {
        let said = refused(&glassnet(&folder, &format!("merge {parts} -o no.jsonl --csv no.csv")));
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    assert_eq!(files(&folder), before, "no file is written");
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn bad_input_names_the_word_and_writes_nothing() {
    let folder = folder("bad");
    let before = files(&folder);
    for (args, words) in [
        (
            "--set nics.eth0.rx_ring=0",
            &["nics.eth0.rx_ring=0", "a card of e1000e has 64 to 4096 for `rx_ring`"][..],
        ),
        ("--set nics.eth0.rx_ring=64,2147483648", &["nics.eth0.rx_ring=2147483648", "64 to 4096"]),
        ("--set nics.eth0.rx_ring=99999999999", &["nics.eth0.rx_ring=99999999999"]),
        ("--set nics.eth0.rx_ring=many", &["nics.eth0.rx_ring=many"]),
        ("--set nics.eth0.rxring=64", &["rxring"]),
        ("--set nics.eth9.rx_ring=64", &["there is no card `eth9`", "eth0"]),
        ("--set nodes.node3.cpus=1", &["there is no machine `node3`", "node1, node2"]),
        ("--set nodes.node1.cpus=1,65", &["nodes.node1.cpus=65", "1 to 64"]),
        ("--set nodes.node1=1", &["nodes.node1", "no machine"]),
        ("--set links.node1:eth1.rate=1Gbit", &["there is no end of a cable `node1:eth1`"]),
        ("--set links.node1:eth0.rate=1Gbit,fast", &["links.node1:eth0.rate=fast", "`fast` is not a rate"]),
        ("--set links.node1:eth0.endpoints=1", &["links.node1:eth0.endpoints=1"]),
        ("--set switches.sw.queue=1", &["there is no switch in the topology"]),
        ("--set nics.eth0.driver=e1000e,abc", &["nics.eth0.driver=abc", "no driver `abc`"]),
        ("--set machines.node1=5", &["`machines.node1` is no place in a topology"]),
        ("--set load=1", &["no command of the lesson uses the variable `load`"]),
        ("--set PATH=1", &["`PATH` belongs to the shell"]),
        ("--set 1a=1", &["\"1a\" is neither"]),
        ("--set seed=x", &["`x` is no seed"]),
        ("--set a", &["write it as NAME=VALUES"]),
        ("--set a=", &["there are no values"]),
        ("--set a=1..5", &["`1..5` is no range: it has no count"]),
        ("--set a=1,2,1", &["has the value 1 twice"]),
        ("--set a=1 --set a=2", &["`a` stands twice"]),
        ("--set a=1 --measure product=node1:x", &["`product` stands twice"]),
        ("--set a=1 --measure a=node1:x", &["`a` stands twice"]),
        ("--set a=1 --measure x=node9:y", &["there is no machine `node9`"]),
        ("--set a=1 --measure x=y", &["names no machine"]),
        ("--set a=1 --measure x", &["write it as NAME=MACHINE: COMMAND"]),
        ("--set a=1 --measure x=node1:", &["the measure `x` has no command"]),
        ("--set a=1 --measure 1x=node1:y", &["\"1x\" cannot be the name"]),
        ("--set a=1..1000/1000 --set b=1..1000/1000", &["1000000 points", "--max-points allows 10000"]),
        ("--set a=1..101/101 --set b=1..101/101", &["10201 points"]),
        ("--set a=1,2 --max-points 1", &["2 points", "allows 1"]),
        ("--set a=1 --partition 4/3", &["--partition 4/3: partitions are 1/3 to 3/3"]),
        ("--set a=1 --partition auto/3", &["JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID", "neither is set"]),
        ("--set a=1 --csv no/x.csv", &["no/x.csv cannot be written"]),
        ("--set a=1 --csv x --chart x", &["x would be written twice"]),
        ("--set a=x,y --chart x.svg", &["a chart needs numbers"]),
        ("--set a=1..9/9 --set b=1,2 --chart x.svg", &["at most 8 lines"]),
    ] {
        let said = refused(&glassnet(&folder, &format!("sweep lesson.md {args} --jsonl x.jsonl")));
        assert!(words.iter().all(|word| said.contains(word)) && !said.contains("panicked"), "{args}: {said}");
    }
    assert_eq!(files(&folder), before, "no file is written");
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_point_that_fails_is_named_and_the_others_are_kept() {
    let folder = folder("fails");
    let sweep = |measure: &str| {
        let mut command = command(&folder);
        command.args("sweep lesson.md --set a=1,2,3 --set b=1 --jsonl x.jsonl --csv x.csv".split(' '));
        command.arg(format!("--measure=odd={measure}")).output().expect("the command")
    };
    let ended = sweep("node1: test $a = 2 && echo two || echo 7");
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("point 1 (a=2 b=1): the measure `odd` printed no number: \"two\""), "{said}");
    assert!(said.contains("1 of 3 points failed: no CSV file"), "{said}");
    assert_eq!(files(&folder), ["lesson.md", "x.jsonl"]);
    assert_eq!(read(&folder, "x.jsonl").lines().count(), 3, "a head and two points");
    fs::remove_file(folder.join("x.jsonl")).expect("a record");
    let said = refused(&sweep("node1: echo none"));
    let points: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("glassnet: point ")?.get(..1)).collect();
    assert_eq!(points, ["0", "1", "2"], "in their order: {said}");
    for output in ["inf", "nan", "0x10", "1 2", "''", "1e999"] {
        fs::remove_file(folder.join("x.jsonl")).expect("a record");
        let said = refused(&sweep(&format!("node1: echo {output}")));
        assert!(said.contains("the measure `odd` printed no number"), "{said}");
    }
    fs::remove_dir_all(&folder).expect("removed");
}

/// What a cluster would start, with the directories of the test instead of its own.
fn run_task(folder: &Path, args: &[String], task: usize) {
    let args = args.iter().map(|arg| {
        let arg = arg.replace("$(JOB_COMPLETION_INDEX)", &task.to_string());
        arg.replace("/lesson/", "").replace("/results/", "results/")
    });
    let ended = command(folder).args(args).env("JOB_COMPLETION_INDEX", task.to_string()).output();
    printed(&ended.expect("the command"));
}

fn merged(folder: &Path, parts: usize) -> String {
    let parts: Vec<String> = (0..parts).map(|part| format!("results/part-{part}.jsonl")).collect();
    printed(&glassnet(folder, &format!("merge {} -o all.jsonl", parts.join(" "))))
}

#[test]
fn the_batch_files_of_clusters_run_every_point_once() {
    let folder = folder("clusters");
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::copy(scenarios.join("hardware/load.md"), folder.join("load.md")).expect("the lesson");
    fs::create_dir(folder.join("results")).expect("a directory");
    let text = fs::read_to_string(scenarios.join("sweeps/indexed-job.yaml")).expect("the manifest");
    let job: Value = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!((&job["apiVersion"], &job["kind"]), (&"batch/v1".into(), &"Job".into()));
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    let completions = spec["completions"].as_u64().expect("a number") as usize;
    let container = &spec["template"]["spec"]["containers"][0];
    let words = |key: &str| -> Vec<String> {
        let words = container[key].as_array().expect("a list").iter();
        words.map(|word| word.as_str().expect("a text").to_owned()).collect()
    };
    let args = [words("command")[1..].to_vec(), words("args")].concat();
    assert!(args.contains(&format!("--partition=auto/{completions}")));
    (0..completions).for_each(|task| run_task(&folder, &args, task));
    let by_kubernetes = merged(&folder, completions);

    fs::remove_dir_all(folder.join("results")).expect("removed");
    let script = fs::read_to_string(scenarios.join("sweeps/array.sbatch")).expect("the batch file");
    let last = script.lines().find_map(|line| line.strip_prefix("#SBATCH --array=0-")).expect("an array");
    let tasks = last.parse::<usize>().expect("a number") + 1;
    let binary = Path::new(env!("CARGO_BIN_EXE_glassnet")).parent().expect("a directory").display();
    let path = format!("{binary}:{}", std::env::var("PATH").expect("a path"));
    for task in 0..tasks {
        let env = BTreeMap::from([
            ("PATH", path.clone()),
            ("SLURM_ARRAY_TASK_ID", task.to_string()),
            ("SLURM_ARRAY_TASK_COUNT", tasks.to_string()),
            ("SLURM_CPUS_PER_TASK", "2".to_owned()),
        ]);
        let mut bash = Command::new("bash");
        bash.arg(scenarios.join("sweeps/array.sbatch")).current_dir(&folder).envs(env);
        printed(&bash.env_remove("JOB_COMPLETION_INDEX").output().expect("bash"));
    }
    assert_eq!(merged(&folder, tasks), by_kubernetes);
    assert_eq!(by_kubernetes.lines().count(), 19);
    fs::remove_dir_all(&folder).expect("removed");
}
