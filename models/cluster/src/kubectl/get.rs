//! `kubectl get`.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::endpoints;
use super::failure::{Done, Failure};
use super::format::Format;
use super::jsonpath::Template;
use super::labels::Selector;
use super::printers;
use super::report::list;
use super::resources::{Asked, Resource, asked};
use super::selector::{self, Fields, labels};
use super::session::Session;
use crate::error::ApiError;
use crate::object::{Key, Kind, Object};
use crate::store::{Store, wall_clock};

const NO_TYPE: &str = "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n";

/// What is shown of an object.
pub(super) struct Item {
    pub resource: Resource,
    pub object: Arc<Object>,
    /// It as JSON.
    pub json: Value,
}

/// What is asked for.
struct Request {
    asked: Vec<Asked>,
    namespace: String,
    everywhere: bool,
    selector: Option<Selector>,
    fields: Option<Fields>,
    format: Format,
    /// Names are shown with their kinds.
    with_kind: bool,
}

/// Runs the command.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let request = request(session).await?;
    if request.asked.iter().any(|asked| asked.resource == Resource::Endpoints) {
        session
            .complain("Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
    }
    if session.given.is("watch") || session.given.is("watch-only") {
        return watch(session, &request).await;
    }
    let (mut items, mut failures) = (Vec::new(), Vec::new());
    {
        let store = session.api.store();
        for asked in &request.asked {
            match find(&store, &request, asked) {
                Ok(found) => items.extend(found),
                Err(failure) => failures.push(failure),
            }
        }
    }
    if session.given.is("ignore-not-found") {
        failures.retain(|failure| !matches!(failure, Failure::Server(ApiError::NotFound(_), _)));
    }
    if let Some(path) = session.given.text("sort-by").map(str::to_owned) {
        sort(&mut items, &path)?;
    }
    show(session, &request, &items, failures.is_empty())?;
    Failure::all(failures)
}

async fn request(session: &mut Session<'_>) -> Done<Request> {
    let mut words = session.given.words.clone();
    let everywhere = session.given.is("all-namespaces");
    let format = Format::parse(session)?;
    let mut namespace = session.namespace();
    if !session.given.all("filename").is_empty() {
        let (documents, failures) = session.manifests().await?;
        Failure::all(failures)?;
        words = documents
            .iter()
            .map(|document| format!("{}/{}", document.kind.plural(), document.name()))
            .collect();
        if let Some(within) =
            documents.first().and_then(|first| first.value["metadata"]["namespace"].as_str())
        {
            namespace = within.to_owned();
        }
    }
    if words.is_empty() {
        session.complain(NO_TYPE);
        return Err(Failure::usage("get", "Required resource not specified."));
    }
    let asked = asked(&words)?;
    let by_name = asked.iter().any(|asked| asked.name.is_some());
    if by_name && everywhere {
        return Err(Failure::own("a resource cannot be retrieved by name across all namespaces"));
    }
    // Endpoints are selected as their services are.
    let kind = asked.first().and_then(|asked| asked.resource.kind().ok()).unwrap_or(Kind::Service);
    let selector = session.given.text("selector").map(|text| selector::read(text, kind)).transpose()?;
    if by_name && selector.is_some() {
        return Err(Failure::own("name cannot be provided when a selector is specified"));
    }
    let fields = session.given.text("field-selector").map(Fields::parse).transpose()?;
    let first = asked.first().map(|asked| asked.resource);
    let with_kind = asked.iter().any(|asked| Some(asked.resource) != first);
    Ok(Request { asked, namespace, everywhere, selector, fields, format, with_kind })
}

/// The objects that are asked for.
fn find(store: &Store, request: &Request, asked: &Asked) -> Done<Vec<Item>> {
    let kind = match asked.resource {
        Resource::Of(kind) => kind,
        // They are views of services.
        Resource::Endpoints => Kind::Service,
    };
    let item = |object: &Arc<Object>| {
        let json = match asked.resource {
            Resource::Of(_) => object.to_json(),
            Resource::Endpoints => endpoints::of(store, object),
        };
        Item { resource: asked.resource, object: object.clone(), json }
    };
    let is_view = |object: &Object| asked.resource != Resource::Endpoints || endpoints::has(store, object);
    if let Some(name) = &asked.name {
        let key = Key::new(kind, &request.namespace, name);
        return match store.object(&key).filter(|object| is_view(object)) {
            Some(object) => Ok(vec![item(object)]),
            None if asked.resource == Resource::Endpoints => {
                Err(Failure::Said(format!("Error from server (NotFound): endpoints {name:?} not found\n"), 1))
            }
            None => Err(ApiError::NotFound(key).into()),
        };
    }
    let mut found = Vec::new();
    for object in store.objects(kind).filter(|object| is_view(object)) {
        if wanted(request, object)? {
            found.push(item(object));
        }
    }
    Ok(found)
}

fn wanted(request: &Request, object: &Object) -> Done<bool> {
    let meta = object.metadata();
    let is_here = request.everywhere
        || !object.kind().is_namespaced()
        || meta.namespace.as_deref() == Some(request.namespace.as_str());
    let by_labels = request.selector.as_ref().is_none_or(|selector| selector.matches(meta.labels.as_ref()));
    let by_fields = request.fields.as_ref().map_or(Ok(true), |fields| fields.matches(object))?;
    Ok(is_here && by_labels && by_fields)
}

fn sort(items: &mut [Item], path: &str) -> Done {
    let template = Template::relaxed(path)?;
    let mut keys = Vec::new();
    for item in items.iter() {
        keys.push(template.results(&item.json)?.first().cloned().unwrap_or_default());
    }
    if !items.is_empty() && keys.iter().all(Value::is_null) {
        return Err(Failure::own(format!(
            "couldn't find any field with path {:?} in the list of objects",
            braced(path)
        )));
    }
    let order = |one: &Value, other: &Value| match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(std::cmp::Ordering::Equal)
        }
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (one, other) => (!one.is_null()).cmp(&!other.is_null()),
    };
    let mut places: Vec<usize> = (0..items.len()).collect();
    places.sort_by(|one, other| order(&keys[*one], &keys[*other]));
    let mut rank = vec![0; items.len()];
    places.iter().enumerate().for_each(|(at, place)| rank[*place] = at);
    let mut ranked: Vec<usize> = rank;
    for at in 0..items.len() {
        while ranked[at] != at {
            let to = ranked[at];
            items.swap(at, to);
            ranked.swap(at, to);
        }
    }
    Ok(())
}

fn braced(path: &str) -> String {
    let inside = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
    format!("{{{}{inside}}}", if inside.starts_with('.') { "" } else { "." })
}

fn show(session: &mut Session, request: &Request, items: &[Item], all_found: bool) -> Done {
    match &request.format {
        Format::Table { .. } => {
            if items.is_empty() && all_found {
                let namespaced = request.asked.iter().all(|asked| asked.resource.is_namespaced());
                session.complain(match namespaced && !request.everywhere {
                    true => format!("No resources found in {} namespace.", request.namespace),
                    false => "No resources found".to_owned(),
                });
            }
            let now = wall_clock(session.process.now());
            for (number, group) in items.chunk_by(|one, other| one.resource == other.resource).enumerate() {
                if number > 0 {
                    session.say("");
                }
                let mut table = Table::new(session, request, group[0].resource);
                let text = table.set(group, &now, !session.given.is("no-headers"));
                session.process.print(text);
            }
        }
        Format::Name => items.iter().for_each(|item| session.say(name(item))),
        format => {
            let is_one = matches!(request.asked.as_slice(), [only] if only.name.is_some());
            let text = match items {
                [only] if is_one => format.render(&only.json)?,
                [] if is_one || !all_found => String::new(),
                items => format.render(&list(items.iter().map(|item| item.json.clone()).collect()))?,
            };
            session.process.print(text);
        }
    }
    Ok(())
}

fn name(item: &Item) -> String {
    format!("{}/{}", item.resource.qualified(), item.object.metadata().name.as_deref().unwrap_or_default())
}

/// A table whose columns do not become narrower.
struct Table {
    resource: Resource,
    wide: bool,
    everywhere: bool,
    with_kind: bool,
    label_columns: Vec<String>,
    show_labels: bool,
    widths: Vec<usize>,
}

impl Table {
    fn new(session: &Session, request: &Request, resource: Resource) -> Table {
        Table {
            resource,
            wide: request.format == Format::Table { wide: true },
            everywhere: request.everywhere && resource.is_namespaced(),
            with_kind: request.with_kind,
            label_columns: session.given.list("label-columns"),
            show_labels: session.given.is("show-labels"),
            widths: Vec::new(),
        }
    }

    fn header(&self) -> Vec<String> {
        let (mut columns, more) = printers::columns(self.resource);
        if self.has_wide_events() {
            columns = printers::WIDE_EVENTS;
        }
        let namespace = self.everywhere.then_some("NAMESPACE");
        let more = more.iter().filter(|_| self.wide);
        let mut header: Vec<String> =
            namespace.iter().chain(columns).chain(more).map(|column| (*column).to_owned()).collect();
        header.extend(
            self.label_columns
                .iter()
                .map(|label| label.rsplit('/').next().unwrap_or_default().to_uppercase()),
        );
        header.extend(self.show_labels.then(|| "LABELS".to_owned()));
        header
    }

    fn has_wide_events(&self) -> bool {
        self.wide && self.resource == Resource::Of(Kind::Event)
    }

    fn row(&self, item: &Item, now: &Time) -> Vec<String> {
        let meta = item.object.metadata();
        let mut row = match self.resource {
            Resource::Of(_) if self.has_wide_events() => match &*item.object {
                Object::Event(event) => printers::wide_event(event, now),
                _ => Vec::new(),
            },
            Resource::Of(_) => printers::row(&item.object, now),
            Resource::Endpoints => endpoints::row(&item.json, meta.creation_timestamp.as_ref(), now),
        };
        if !self.wide {
            row.truncate(printers::columns(self.resource).0.len());
        }
        if self.with_kind && self.resource != Resource::Of(Kind::Event) {
            row[0] = name(item);
        }
        if self.everywhere {
            row.insert(0, meta.namespace.clone().unwrap_or_default());
        }
        let value = |label: &String| meta.labels.as_ref().and_then(|labels| labels.get(label).cloned());
        row.extend(
            self.label_columns.iter().map(|label| value(label).unwrap_or_else(|| "<none>".to_owned())),
        );
        row.extend(self.show_labels.then(|| labels(meta.labels.as_ref())));
        row
    }

    /// Sets rows.
    fn set(&mut self, items: &[Item], now: &Time, with_header: bool) -> String {
        let header = with_header.then(|| self.header());
        let rows: Vec<Vec<String>> =
            header.into_iter().chain(items.iter().map(|item| self.row(item, now))).collect();
        for row in &rows {
            self.widths.resize(row.len(), 6);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count() + 3);
            }
        }
        let mut text = String::new();
        for row in rows {
            let last = row.len() - 1;
            for (at, cell) in row.iter().enumerate() {
                let width = if at == last { 0 } else { self.widths[at] };
                text.push_str(&format!("{cell:width$}"));
            }
            text.push('\n');
        }
        text
    }
}

/// Shows what is asked for, then every change of it.
async fn watch(session: &mut Session<'_>, request: &Request) -> Done {
    let [asked] = request.asked.as_slice() else {
        return Err(Failure::own("you may only specify a single resource type"));
    };
    let (mut items, mut next) = {
        let store = session.api.store();
        (find(&store, request, asked)?, store.changes(0).len())
    };
    let mut table = Table::new(session, request, asked.resource);
    let mut with_header = !session.given.is("no-headers");
    let mut known: Vec<(Key, Arc<Object>)> =
        items.iter().map(|item| (item.object.key(), item.object.clone())).collect();
    if session.given.is("watch-only") {
        items.clear();
    }
    loop {
        let now = wall_clock(session.process.now());
        match &request.format {
            Format::Table { .. } if !items.is_empty() => {
                let text = table.set(&items, &now, with_header);
                session.process.print(text);
                with_header = false;
            }
            Format::Table { .. } => {}
            Format::Name => items.iter().for_each(|item| session.say(name(item))),
            format => {
                for item in &items {
                    let text = format.render(&item.json)?;
                    session.process.print(text);
                }
            }
        }
        let from = next;
        let changes = session.until(None, |store| {
            let changes = store.changes(from);
            (!changes.is_empty()).then(|| changes.to_vec())
        });
        let changes = changes.await.unwrap_or_default();
        next += changes.len();
        items.clear();
        for change in changes {
            // One that is gone is shown as it was.
            let before = known.iter().find(|(key, _)| *key == change.key).map(|(_, object)| object.clone());
            known.retain(|(key, _)| *key != change.key);
            if let Some(object) = &change.object {
                known.push((change.key.clone(), object.clone()));
            }
            let Some(object) = change.object.or(before) else { continue };
            let by_name =
                asked.name.as_ref().is_none_or(|name| object.metadata().name.as_ref() == Some(name));
            if Resource::Of(object.kind()) == asked.resource && by_name && wanted(request, &object)? {
                items.push(Item { resource: asked.resource, json: object.to_json(), object });
            }
        }
    }
}
