//! The points of a sweep: every combination of the values of its axes.

use serde::{Deserialize, Serialize};

/// What is varied: the names of the axes, each with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grid {
    /// Axes in order; the last varies fastest.
    pub axes: Vec<(String, Vec<String>)>,
}

impl Grid {
    /// How many points it has; `u64::MAX` stands for more.
    pub fn points(&self) -> u64 {
        self.axes.iter().fold(1, |product: u64, (_, values)| product.saturating_mul(values.len() as u64))
    }

    /// The value of each axis at a point below [`Grid::points`].
    pub fn point(&self, number: u64) -> Vec<&str> {
        let mut rest = number;
        let digit = |(_, values): &'_ (String, Vec<String>)| {
            let at = rest % values.len() as u64;
            rest /= values.len() as u64;
            at as usize
        };
        let mut at: Vec<usize> = self.axes.iter().rev().map(digit).collect();
        at.reverse();
        self.axes.iter().zip(at).map(|((_, values), at)| values[at].as_str()).collect()
    }

    /// A point in words: `rx_ring=64 load=100000`.
    pub fn words(&self, number: u64) -> String {
        let values = self.point(number);
        let words = self.axes.iter().zip(values).map(|((name, _), value)| format!("{name}={value}"));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A part of a grid's points: each `of`-th, so that each part has cheap and dear ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which, from 0.
    number: u64,
    of: u64,
}

/// Which one of the tasks of an array this is, from 0: of an Indexed Job of Kubernetes, of a job array of Slurm.
const TASKS: [&str; 2] = ["JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"];
/// How many tasks a job array of Slurm has.
const TASK_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";

impl Partition {
    /// All points.
    pub const WHOLE: Partition = Partition { number: 0, of: 1 };

    /// Reads `3/16`, which counts from 1; `auto/16`, of which the environment says which one, counted from 0; or `auto`, of which
    /// the environment of Slurm says both.
    ///
    /// # Errors
    ///
    /// It is none of these, or the environment does not say so.
    pub fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Partition, String> {
        let wrong = |why: &str| format!("--partition {text}: {why}");
        let count = |count: &str| {
            let parsed: Option<u64> = count.parse().ok().filter(|count| *count > 0);
            parsed.ok_or_else(|| wrong(&format!("{count:?} is no number of partitions")))
        };
        let (which, of) = match text.split_once('/') {
            Some((which, of)) => (which, count(of)?),
            None if text == "auto" => match env(TASK_COUNT) {
                Some(tasks) => ("auto", count(&tasks)?),
                None => {
                    return Err(wrong(&format!("{TASK_COUNT} is not set: say how many, such as auto/16")));
                }
            },
            None => return Err(wrong("write it as 3/16, auto/16 or auto")),
        };
        if which != "auto" {
            let number = which.parse().ok().filter(|number| (1..=of).contains(number));
            let number = number.ok_or_else(|| wrong(&format!("partitions are 1/{of} to {of}/{of}")))?;
            return Ok(Partition { number: number - 1, of });
        }
        let set: Vec<(&str, String)> = TASKS.iter().filter_map(|name| Some((*name, env(name)?))).collect();
        let [(name, task)] = &set[..] else {
            let are = if set.is_empty() { "neither is" } else { "both are" };
            return Err(wrong(&format!("{} say which one, but {are} set", TASKS.join(" or "))));
        };
        match task.parse().ok().filter(|number| *number < of) {
            Some(number) => Ok(Partition { number, of }),
            None => Err(wrong(&format!("{name} is {task:?}, and must be 0 to {}", of - 1))),
        }
    }

    /// The point belongs to it.
    pub fn has(self, point: u64) -> bool {
        point % self.of == self.number
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.number + 1, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_axis_varies_fastest() {
        let axis = |name: &str, values: &[&str]| {
            (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        };
        let grid = Grid { axes: vec![axis("a", &["1", "2"]), axis("b", &["x", "y", "z"])] };
        assert_eq!(grid.points(), 6);
        let words: Vec<String> = (0..6).map(|point| grid.words(point)).collect();
        assert_eq!(words, ["a=1 b=x", "a=1 b=y", "a=1 b=z", "a=2 b=x", "a=2 b=y", "a=2 b=z"]);
        let many = vec![axis("a", &["1"; 100]); 20];
        assert_eq!(Grid { axes: many }.points(), u64::MAX);
    }

    #[test]
    fn partitions_are_named_or_told_by_the_environment() {
        let kube = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "2".to_owned());
        let slurm = |name: &str| match name {
            "SLURM_ARRAY_TASK_ID" => Some("2".to_owned()),
            "SLURM_ARRAY_TASK_COUNT" => Some("4".to_owned()),
            _ => None,
        };
        let none = |_: &str| None;
        let shown = |text: &str, env: &dyn Fn(&str) -> Option<String>| {
            Partition::parse(text, env).map(|p| p.to_string())
        };
        for (text, env, expected) in [
            ("3/16", &none as &dyn Fn(&str) -> Option<String>, "3/16"),
            ("auto/16", &kube, "3/16"),
            ("auto/16", &slurm, "3/16"),
            ("auto", &slurm, "3/4"),
        ] {
            assert_eq!(shown(text, env), Ok(expected.to_owned()));
        }
        for (text, env, word) in [
            ("0/16", &none as &dyn Fn(&str) -> Option<String>, "1/16 to 16/16"),
            ("17/16", &none, "1/16 to 16/16"),
            ("x", &none, "write it as 3/16"),
            ("1/0", &none, "\"0\" is no number of partitions"),
            ("1/x", &none, "\"x\" is no number"),
            ("auto/3", &none, "neither is set"),
            ("auto", &kube, "SLURM_ARRAY_TASK_COUNT is not set"),
            ("auto/2", &kube, "JOB_COMPLETION_INDEX is \"2\", and must be 0 to 1"),
            ("auto/9", &|_| Some("1".to_owned()), "both are set"),
        ] {
            let why = shown(text, env).expect_err(text);
            assert!(why.contains(word), "{why}");
        }
        let parts: Vec<Partition> =
            (1..=3).map(|n| Partition::parse(&format!("{n}/3"), none).expect("a part")).collect();
        assert!((0..10).all(|point| parts.iter().filter(|part| part.has(point)).count() == 1));
    }
}
