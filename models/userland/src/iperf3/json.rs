//! JSON as cJSON prints it: a tab for each level, arrays in one line with their braces.

/// A value.
pub enum Json {
    /// A whole number.
    Int(u64),
    /// A number.
    Real(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A string without anything to quote.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in its order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// The text, indented by `depth`.
    pub fn text(&self, depth: usize) -> String {
        match self {
            Json::Int(value) => value.to_string(),
            Json::Real(value) => real(*value),
            Json::Bool(value) => value.to_string(),
            Json::Text(value) => format!("\"{value}\""),
            Json::Array(values) => {
                let texts: Vec<String> = values.iter().map(|value| value.text(depth + 1)).collect();
                format!("[{}]", texts.join(", "))
            }
            Json::Object(members) => {
                let (inner, outer) = ("\t".repeat(depth + 1), "\t".repeat(depth));
                let lines: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{inner}\"{name}\":\t{}", value.text(depth + 1)))
                    .collect();
                format!("{{\n{}\n{outer}}}", lines.join(",\n"))
            }
        }
    }
}

/// Up to 17 digits, as few as needed.
fn real(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from iperf 3.12.
    #[test]
    fn as_cjson_prints_it() {
        let stream = Json::Object(vec![("socket", Json::Int(5)), ("end", Json::Real(1.000437))]);
        let all = Json::Object(vec![("streams", Json::Array(vec![stream])), ("omitted", Json::Bool(false))]);
        let text = "{\n\t\"streams\":\t[{\n\t\t\t\"socket\":\t5,\n\t\t\t\"end\":\t1.000437\n\t\t}],\n\t\"omitted\":\tfalse\n}";
        assert_eq!(all.text(0), text);
    }
}
