//! What a sweep measured, as JSON lines: the first says of which sweep, each further one is a point. Lines are appended as points
//! are done, so an interrupted sweep goes on where it stopped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::grid::{Grid, Partition};

/// Measured numbers by points, in the order of [`Head::measures`].
pub type Rows = BTreeMap<u64, Vec<Number>>;

/// Of which sweep numbers are: all that decides them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Version of glassnet.
    pub glassnet: String,
    /// File name of the lesson, for people.
    pub lesson: String,
    /// Hash of its text.
    pub text: String,
    /// Where chance comes from.
    pub seed: u64,
    /// What is varied.
    pub set: Grid,
    /// What is measured: the name, and `MACHINE: COMMAND`.
    pub measures: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct HeadLine {
    sweep: Head,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    point: u64,
    /// The values there, for people: the point's number says them too.
    #[serde(rename = "set")]
    _set: Map<String, Value>,
    measured: BTreeMap<String, Number>,
}

impl Head {
    /// How another sweep differs from this one; `None`: it is the same.
    pub fn difference(&self, other: &Head) -> Option<String> {
        let words = |what: &str, own: &dyn std::fmt::Display, others: &dyn std::fmt::Display| {
            Some(format!("its {what} is {others}, not {own}"))
        };
        if self.glassnet != other.glassnet {
            return words("version of glassnet", &self.glassnet, &other.glassnet);
        }
        if self.text != other.text {
            return Some("the text of the lesson was another".to_owned());
        }
        if self.seed != other.seed {
            return words("seed", &self.seed, &other.seed);
        }
        let set = |head: &Head| {
            let axes = head.set.axes.iter().map(|(name, values)| format!("{name}={}", values.join(",")));
            axes.collect::<Vec<_>>().join(" ")
        };
        if self.set != other.set {
            return words("grid", &set(self), &set(other));
        }
        (self.measures != other.measures).then(|| "it measures something else".to_owned())
    }

    /// The first line.
    fn line(&self) -> String {
        let line = serde_json::to_string(&HeadLine { sweep: self.clone() });
        line.expect("numbers, texts and lists") + "\n"
    }

    /// The line of a point.
    pub fn point_line(&self, point: u64, measured: &[Number]) -> String {
        let member = |name: &str, value: &str| format!("{}:{value}", Value::from(name));
        let values = self.set.axes.iter().zip(self.set.point(point));
        let set: Vec<String> = values
            .map(|((name, _), value)| match serde_json::from_str::<Number>(value) {
                Ok(_) => member(name, value),
                Err(_) => member(name, &Value::from(value).to_string()),
            })
            .collect();
        let measured: Vec<String> = self
            .measures
            .iter()
            .zip(measured)
            .map(|((name, _), number)| member(name, &number.to_string()))
            .collect();
        format!(
            "{{\"point\":{point},\"set\":{{{}}},\"measured\":{{{}}}}}\n",
            set.join(","),
            measured.join(",")
        )
    }

    /// A whole record, in the order of the points.
    pub fn record(&self, rows: &Rows) -> String {
        let lines = rows.iter().map(|(point, measured)| self.point_line(*point, measured));
        self.line() + &lines.collect::<String>()
    }

    /// Reads the lines of points; `first` is the number of the first of them in its file.
    fn read_points(&self, lines: &str, first: usize) -> Result<Rows, String> {
        let mut rows = Rows::new();
        for (at, text) in lines.lines().enumerate() {
            let wrong = |why: &dyn std::fmt::Display| format!("line {}: {why}", first + at);
            let mut line: Line = serde_json::from_str(text).map_err(|error| wrong(&error))?;
            if line.point >= self.set.points() {
                return Err(wrong(&format!("there is no point {}", line.point)));
            }
            let numbers = self.measures.iter().map(|(name, _)| {
                line.measured.remove(name).ok_or_else(|| wrong(&format!("it lacks the measure `{name}`")))
            });
            let numbers = numbers.collect::<Result<_, _>>()?;
            if rows.insert(line.point, numbers).is_some() {
                return Err(wrong(&format!("point {} stands twice", line.point)));
            }
        }
        Ok(rows)
    }
}

/// Reads a whole record.
fn read(text: &str) -> Result<(Head, Rows), String> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let HeadLine { sweep } =
        serde_json::from_str(first).map_err(|_| "it is no record of a sweep".to_owned())?;
    if !text.ends_with('\n') {
        return Err(
            "its last line is half-written: run that sweep again, it goes on where it stopped".to_owned()
        );
    }
    let rows = sweep.read_points(rest, 2)?;
    Ok((sweep, rows))
}

/// A file that a sweep writes.
#[derive(Debug)]
pub struct Record(File);

impl Record {
    /// Opens a file, and reads what a sweep interrupted earlier has left there. A half-written last line is dropped.
    ///
    /// # Errors
    ///
    /// Those of the file system; another process writes it; it has something else in it, which is left alone.
    pub fn open(path: &Path, head: &Head, partition: Partition) -> Result<(Record, Rows), String> {
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let there = path.metadata().ok().is_some_and(|there| !there.is_file());
        if there {
            return Err(wrong(&"a record is a regular file"));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| wrong(&e))?;
        // Some file systems know no locks.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(wrong(&"another sweep writes it"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| wrong(&error))?;
        let first = head.line();
        let (rows, kept) = if first.starts_with(&text) && text != first {
            (Rows::new(), 0)
        } else {
            let kept = text.rfind('\n').map_or(0, |at| at + 1);
            let (found, rows) = read(&text[..kept]).map_err(|why| wrong(&why))?;
            if let Some(difference) = head.difference(&found) {
                return Err(wrong(&format!("it is the record of another sweep: {difference}")));
            }
            (rows, kept as u64)
        };
        if let Some(other) = rows.keys().find(|point| !partition.has(**point)) {
            return Err(wrong(&format!("it has point {other}, which is not of partition {partition}")));
        }
        file.set_len(kept).and_then(|()| file.seek(SeekFrom::End(0))).map_err(|error| wrong(&error))?;
        if kept == 0 {
            file.write_all(first.as_bytes()).map_err(|error| wrong(&error))?;
        }
        Ok((Record(file), rows))
    }

    /// Appends a line.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn append(&mut self, line: &str) -> std::io::Result<()> {
        self.0.write_all(line.as_bytes())
    }
}

/// How many missing points are named.
const NAMED: usize = 5;

/// Puts the records of partitions together; each is given with its name.
///
/// # Errors
///
/// One is no record, they are of different sweeps, or points are missing or stand in two.
pub fn merge(parts: &[(String, String)]) -> Result<(Head, Rows), String> {
    let mut whole: Option<(Head, &str)> = None;
    let mut rows: BTreeMap<u64, (Vec<Number>, &str)> = BTreeMap::new();
    for (name, text) in parts {
        let (head, points) = read(text).map_err(|why| format!("{name}: {why}"))?;
        let (whole, first) = whole.get_or_insert((head.clone(), name));
        if let Some(difference) = whole.difference(&head) {
            return Err(format!("{name} is of another sweep than {first}: {difference}"));
        }
        for (point, measured) in points {
            if let Some((_, before)) = rows.insert(point, (measured, name)) {
                return Err(format!(
                    "point {point} ({}) is in {before} and in {name}",
                    head.set.words(point)
                ));
            }
        }
    }
    let (head, _) = whole.ok_or("there is nothing to merge")?;
    let missing = head.set.points().saturating_sub(rows.len() as u64);
    if missing > 0 {
        let mut text = format!("{missing} of {} points are missing:", head.set.points());
        let named = (0..head.set.points()).filter(|point| !rows.contains_key(point)).take(NAMED);
        for point in named {
            let _infallible = write!(text, "\n  {point} ({})", head.set.words(point));
        }
        return Err(text + if missing > NAMED as u64 { "\n  …" } else { "" });
    }
    Ok((head, rows.into_iter().map(|(point, (measured, _))| (point, measured)).collect()))
}
