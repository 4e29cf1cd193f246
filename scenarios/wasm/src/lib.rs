//! The library behind a plain C ABI, for `wasm32-unknown-unknown`. The module imports nothing.
//!
//! A host asks [`alloc`] for room, writes a lesson's text into it, and calls [`run`] or [`walk`] with it; `lesson.mjs`
//! does so in Node.

use std::path::Path;

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run;
use glassnet_scenarios::view::{self, Selection, Zoom};

/// What lessons are called in messages.
const NAME: &str = "lesson.md";

/// Room for `len` bytes, which the next [`run`] or [`walk`] with its address takes back.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(len: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; len].into_boxed_slice()).cast()
}

/// Runs a lesson. The answer is one JSON object a prompt: `line`, `machine`, `command`, `output`, `status`, and
/// `expected`, whether that is what the lesson says; or `{"error": …}` behind those that came to their end.
///
/// # Safety
///
/// `ptr` came from [`alloc`] with the same `len`. See [`answer`] for what is returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn run(ptr: *mut u8, len: usize) -> *const u8 {
    // SAFETY: as this function's.
    answer(unsafe { with_lesson(ptr, len, run_lesson) })
}

/// Runs a lesson and returns what `glassnet walk --zoom doors` prints of it, or an error's text.
///
/// # Safety
///
/// `ptr` came from [`alloc`] with the same `len`. See [`answer`] for what is returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn walk(ptr: *mut u8, len: usize) -> *const u8 {
    // SAFETY: as this function's.
    answer(unsafe { with_lesson(ptr, len, walk_lesson) })
}

/// Takes the text back and does something with the lesson in it; an error becomes the answer.
///
/// # Safety
///
/// `ptr` came from [`alloc`] with the same `len`.
unsafe fn with_lesson(
    ptr: *mut u8,
    len: usize,
    act: impl FnOnce(&Lesson) -> Result<String, String>,
) -> String {
    // SAFETY: `alloc` made it of a boxed slice of this length.
    let bytes = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(ptr, len)) };
    let text = String::from_utf8(bytes.into_vec()).map_err(|_| format!("{NAME}: the text is not UTF-8"));
    let lesson = text.and_then(|text| {
        Lesson::parse(Path::new(NAME), text).map_err(|error| format!("{NAME}:{}: {error}", error.line))
    });
    lesson.and_then(|lesson| act(&lesson)).unwrap_or_else(|error| error)
}

/// Hands a text to the host: its length in bytes (32 bits, little-endian), then the text, in memory that is not
/// freed: a host that runs many lessons makes an instance for each.
fn answer(text: String) -> *const u8 {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let bytes = [&length.to_le_bytes(), text.as_bytes()].concat();
    Box::leak(bytes.into_boxed_slice()).as_ptr()
}

fn run_lesson(lesson: &Lesson) -> Result<String, String> {
    let mut lines = String::new();
    let ended = run::run(lesson, SEED, |prompt, outcome| {
        let line = serde_json::json!({
            "line": prompt.line,
            "machine": prompt.machine,
            "command": prompt.command,
            "output": outcome.output,
            "status": outcome.status,
            "expected": run::matches(&prompt.expected, &outcome.output),
        });
        lines += &format!("{line}\n");
    });
    if let Err(error) = ended {
        lines += &format!("{}\n", serde_json::json!({ "error": error.to_string() }));
    }
    Ok(lines)
}

fn walk_lesson(lesson: &Lesson) -> Result<String, String> {
    let observed = view::observe(lesson, SEED, |_| ()).map_err(|error| error.to_string())?;
    let world = observed.world();
    Ok(view::text(&observed.story(&world), Zoom::Doors, &Selection::default(), true))
}
