//! Lists of plugins, as a container runtime runs them (`libcni`): each gets what the one before it made, and what the runtime knows of the
//! container, as far as it can use it.

use serde_json::{Map, Value};

use super::invoke::{Call, result, run};
use super::json;
use super::skel::has_check;
use crate::process::{Process, strerror};

/// Where the results of networks are kept.
const CACHE: &str = "/var/lib/cni/results";

/// A list of plugins (`*.conflist`).
#[derive(Clone, Debug)]
pub struct List {
    /// The network's name.
    pub name: String,
    version: String,
    disable_check: bool,
    plugins: Vec<Map<String, Value>>,
}

/// A container's device in a network.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The container.
    pub container_id: String,
    /// The path of its namespace.
    pub netns: String,
    /// The name of the device.
    pub if_name: String,
    /// Where plugins are looked for.
    pub path: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// What the runtime knows, by the capability of plugins that can use it (`portMappings`).
    pub capabilities: Map<String, Value>,
}

/// How each command is called in messages.
fn called(command: &str) -> &'static str {
    match command {
        "ADD" => "add",
        "CHECK" => "check",
        _ => "delete",
    }
}

impl List {
    /// Reads a list, or the configuration of one plugin as a list of one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<List, String> {
        let value =
            json::parse(text).map_err(|error| format!("error parsing configuration list: {error}"))?;
        let wrong = |what: &str| Err(format!("error parsing configuration list: {what}"));
        let Value::Object(map) = value else { return wrong("no name") };
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if !map.contains_key("plugins") && map.contains_key("type") {
            let (name, version) = (text("name"), text("cniVersion"));
            return Ok(List { name, version, disable_check: false, plugins: vec![map] });
        }
        let (name, version) = (text("name"), text("cniVersion"));
        if name.is_empty() {
            return wrong("no name");
        }
        let disable_check = match map.get("disableCheck") {
            None => false,
            Some(Value::Bool(is_on)) => *is_on,
            Some(Value::String(text)) => matches!(text.to_lowercase().as_str(), "true" | "t" | "1"),
            Some(other) => return wrong(&format!("invalid disableCheck type {other}")),
        };
        let Some(plugins) = map.get("plugins") else { return wrong("no 'plugins' key") };
        let Some(plugins) = plugins.as_array() else { return wrong("invalid 'plugins' type") };
        if plugins.is_empty() {
            return wrong("no plugins in list");
        }
        let mut all = Vec::new();
        for (at, plugin) in plugins.iter().enumerate() {
            let plugin = plugin.as_object().filter(|plugin| plugin.get("type").is_some_and(Value::is_string));
            let Some(plugin) = plugin else {
                return wrong(&format!("failed to parse plugin config {at}: missing 'type'"));
            };
            all.push(plugin.clone());
        }
        Ok(List { name, version, disable_check, plugins: all })
    }

    /// The list of a network's name in a folder: lists before single plugins, each in the order of their files' names.
    ///
    /// # Errors
    ///
    /// There is none, or a file cannot be read.
    pub async fn load(process: &Process, folder: &str, name: &str) -> Result<List, String> {
        let files = process.files.clone();
        let folder = process.path(folder);
        let mut found: Vec<String> =
            files.list(&folder).await.unwrap_or_default().into_iter().map(|file| file.0).collect();
        found.retain(|file| [".conflist", ".conf", ".json"].iter().any(|end| file.ends_with(end)));
        if found.is_empty() {
            return Err(format!("no net configurations found in {folder}"));
        }
        found.sort_by_key(|file| (!file.ends_with(".conflist"), file.clone()));
        for file in found {
            let path = format!("{folder}/{file}");
            let text = files
                .read(&path)
                .await
                .map_err(|error| format!("error reading {path}: {}", strerror(&error)))?;
            let list = List::parse(&text)?;
            if list.name == name {
                return Ok(list);
            }
        }
        Err(format!("no net configuration with name {name:?} in {folder}"))
    }

    /// The configuration that one plugin gets.
    fn conf(&self, plugin: &Map<String, Value>, to: &Attachment, prev: Option<&Value>) -> Vec<u8> {
        let mut conf = plugin.clone();
        conf.insert("name".to_owned(), self.name.as_str().into());
        conf.insert("cniVersion".to_owned(), self.version.as_str().into());
        if let Some(prev) = prev {
            conf.insert("prevResult".to_owned(), prev.clone());
        }
        let can =
            |name: &str| plugin.get("capabilities").and_then(|all| all.get(name)) == Some(&Value::Bool(true));
        let known = to.capabilities.iter().filter(|(name, _)| can(name));
        let runtime: Map<_, _> = known.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !runtime.is_empty() {
            conf.insert("runtimeConfig".to_owned(), runtime.into());
        }
        json::print_line(&conf).into_bytes()
    }

    /// Runs one plugin.
    async fn call(
        &self,
        process: &mut Process,
        to: &Attachment,
        command: &str,
        (plugin, prev): (&Map<String, Value>, Option<&Value>),
    ) -> Result<String, String> {
        let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
        let conf = self.conf(plugin, to, prev);
        let before = process.env.clone();
        process.env.extend(
            [
                ("CNI_ARGS", &to.args),
                ("CNI_CONTAINERID", &to.container_id),
                ("CNI_IFNAME", &to.if_name),
                ("CNI_NETNS", &to.netns),
                ("CNI_PATH", &to.path),
            ]
            .map(|(name, value)| (name.to_owned(), value.clone())),
        );
        let done = run(process, Call { kind, path: &to.path, command, conf: &conf }).await;
        process.env = before;
        done.map_err(|error| format!("plugin type={kind:?} failed ({}): {}", called(command), error.text()))
    }

    /// Where the result for a container's device is kept.
    fn cache(&self, to: &Attachment) -> String {
        format!("{CACHE}/{}-{}-{}", self.name, to.container_id, to.if_name)
    }

    /// What the plugins made for a container's device.
    async fn cached(&self, process: &Process, to: &Attachment) -> Option<Value> {
        let text = process.files.read(&self.cache(to)).await.ok()?;
        json::parse(&text).ok()?.get("result").cloned()
    }

    /// Gives a container's device what the plugins make; returns the last one's result as it was printed.
    ///
    /// # Errors
    ///
    /// The plugin that failed, with what it said. What the others have made stays, as with the real library.
    pub async fn add(&self, process: &mut Process, to: &Attachment) -> Result<String, String> {
        let mut prev: Option<Value> = None;
        for plugin in &self.plugins {
            let printed = self.call(process, to, "ADD", (plugin, prev.as_ref())).await?;
            // It is read, so that nothing half right goes on.
            let made = result(&self.version, &printed)?.json(&self.version)?;
            prev = Some(json::parse(made.as_bytes())?);
        }
        let Some(result) = prev else { return Ok(String::new()) };
        self.keep(process, to, &result).await?;
        json::parse(json::print_line(&result).as_bytes())?;
        super::types::CniResult::read(&self.version, &result)?.json(&self.version)
    }

    async fn keep(&self, process: &Process, to: &Attachment, result: &Value) -> Result<(), String> {
        let cache = serde_json::json!({
            "kind": "cniCacheV1",
            "containerId": to.container_id,
            "ifName": to.if_name,
            "networkName": self.name,
            "result": result,
        });
        let failed =
            |error| format!("failed to set network {:?} cached result: {}", self.name, strerror(&error));
        process.files.make_dir(CACHE).await.map_err(failed)?;
        process.files.write(&self.cache(to), json::print_line(&cache).as_bytes()).await.map_err(failed)
    }

    /// Asks all plugins whether what they made is still there.
    ///
    /// # Errors
    ///
    /// The first that misses something.
    pub async fn check(&self, process: &mut Process, to: &Attachment) -> Result<(), String> {
        let version = if self.version.is_empty() { "0.1.0" } else { &self.version };
        if !has_check(version).map_err(|error| error.text())? {
            return Err(format!("configuration version {version:?} does not support CHECK command"));
        }
        if self.disable_check {
            return Ok(());
        }
        let prev = self.cached(process, to).await;
        for plugin in &self.plugins {
            self.call(process, to, "CHECK", (plugin, prev.as_ref())).await?;
        }
        Ok(())
    }

    /// Takes away what the plugins made, the last one's first.
    ///
    /// # Errors
    ///
    /// The plugin that failed.
    pub async fn del(&self, process: &mut Process, to: &Attachment) -> Result<(), String> {
        let version = if self.version.is_empty() { "0.1.0" } else { &self.version };
        let has_prev = has_check(version).map_err(|error| error.text())?;
        let prev = if has_prev { self.cached(process, to).await } else { None };
        for plugin in self.plugins.iter().rev() {
            self.call(process, to, "DEL", (plugin, prev.as_ref())).await?;
        }
        // Without a result there is nothing to forget.
        let _ = process.files.remove(&self.cache(to)).await;
        Ok(())
    }
}
