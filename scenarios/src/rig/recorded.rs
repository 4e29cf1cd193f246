//! Cases with what a real kernel did, as a file: for tests without privileges.

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::case::Case;
use crate::observation::KernelConfig;

/// Cases that a real kernel ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The kernel, as [`crate::backend::Backend::version`] names it.
    pub kernel: String,
    /// How it was built.
    pub config: KernelConfig,
    /// The cases in the order in which they ran, each with its outcome.
    pub cases: Vec<(Case, Outcome)>,
}

impl Recording {
    /// The recording as JSON, a line a case.
    ///
    /// # Errors
    ///
    /// None for what a backend returns: all of it can be written.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let cases: Vec<String> = self.cases.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let (kernel, config) = (serde_json::to_string(&self.kernel)?, serde_json::to_string(&self.config)?);
        let cases = cases.join(",\n");
        Ok(format!("{{\"kernel\":{kernel},\n\"config\":{config},\n\"cases\":[\n{cases}\n]}}\n"))
    }

    /// Reads what [`Recording::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// The text is something else.
    pub fn from_json(text: &str) -> Result<Recording, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Frames of each step in lower-case hexadecimal.
pub(super) mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::observation::unhex;
    use crate::rig::case::Port;

    type Frames = Vec<Vec<(Port, Vec<u8>)>>;

    pub fn serialize<S: Serializer>(frames: &Frames, to: S) -> Result<S::Ok, S::Error> {
        let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let step = |frames: &Vec<(Port, Vec<u8>)>| -> Vec<(Port, String)> {
            frames.iter().map(|(port, bytes)| (*port, text(bytes))).collect()
        };
        frames.iter().map(step).collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Frames, D::Error> {
        let steps = Vec::<Vec<(Port, String)>>::deserialize(from)?;
        let step = |frames: Vec<(Port, String)>| {
            frames.into_iter().map(|(port, text)| (port, unhex(&text))).collect()
        };
        Ok(steps.into_iter().map(step).collect())
    }
}
