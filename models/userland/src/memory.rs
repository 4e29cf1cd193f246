//! Streams in memory: what a program is given, and what it says to a program that started it.

use std::io;
use std::sync::{Arc, Mutex};

use crate::process::{Boxed, Input, Output};

/// Bytes in memory: an input that ends after them, or an output that keeps them.
#[derive(Default)]
pub struct Memory(Mutex<Vec<u8>>);

impl Memory {
    /// A stream of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Arc<Memory> {
        Arc::new(Memory(Mutex::new(bytes.into())))
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// What was written since the last time.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.take()).into_owned()
    }
}

impl Input for Memory {
    fn read(&self) -> Boxed<'_, io::Result<Vec<u8>>> {
        Box::pin(async { Ok(self.take()) })
    }
}

impl Output for Memory {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }
}
