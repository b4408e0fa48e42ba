//! What is counted as bytes, and a state as JSON, versioned; what is damaged or newer is refused.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::state::State;

const MAGIC: [u8; 4] = *b"CFST";
const VERSION: u16 = 1;
const FORMAT: &str = "calibfast.state";

#[derive(Serialize, Deserialize)]
struct Document<S> {
    format: String,
    version: u16,
    state: S,
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::State(format!("the state is damaged or is none: {why}"))
}

fn check_version(version: u16) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    Err(Error::State(format!(
        "the state has format version {version}, this calibfast reads version {VERSION}; update calibfast"
    )))
}

/// Magic, version, content and a checksum over them all.
pub(crate) fn seal(magic: [u8; 4], content: &impl Serialize) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    let mut bytes = postcard::to_extend(content, bytes).expect("memory is the only limit of a state's bytes");
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The content that [`seal`] was given.
///
/// # Errors
/// [`Error::State`] where the bytes are of another kind, are damaged, or are of a newer version.
pub(crate) fn open<'a, T: Deserialize<'a>>(magic: [u8; 4], bytes: &'a [u8]) -> Result<T> {
    let rest = bytes
        .strip_prefix(&magic)
        .ok_or_else(|| damaged(format!("it does not start with {}", magic.escape_ascii())))?;
    let (version, _) = rest.split_first_chunk().ok_or_else(|| damaged("it ends early"))?;
    check_version(u16::from_le_bytes(*version))?;
    let (content, checksum) = bytes.split_last_chunk().ok_or_else(|| damaged("it ends early"))?;
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return Err(damaged("its checksum does not match"));
    }
    let content = content.get(magic.len() + size_of::<u16>()..).ok_or_else(|| damaged("it ends early"))?;
    let (content, left) = postcard::take_from_bytes(content).map_err(damaged)?;
    if left.is_empty() { Ok(content) } else { Err(damaged("bytes are left over")) }
}

impl State {
    /// Magic, version, content and a checksum over them all.
    ///
    /// # Panics
    /// Where memory runs out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(MAGIC, self)
    }

    /// The state that [`State::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::State`] where the bytes are no state, are damaged, or are of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let state: Self = open(MAGIC, bytes)?;
        state.check()?;
        Ok(state)
    }

    /// The state as a JSON document; its integers need a reader without a 53-bit limit.
    ///
    /// # Panics
    /// Where memory runs out.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document { format: FORMAT.to_owned(), version: VERSION, state: self };
        serde_json::to_string(&document).expect("a state holds only integers, lists and names")
    }

    /// The state that [`State::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::State`] where the text is no state, is damaged, or is of a newer version.
    pub fn from_json(text: &str) -> Result<Self> {
        let head: Document<serde::de::IgnoredAny> = serde_json::from_str(text).map_err(damaged)?;
        if head.format != FORMAT {
            return Err(damaged(format!("its format is {:?}, not {FORMAT:?}", head.format)));
        }
        check_version(head.version)?;
        let document: Document<Self> = serde_json::from_str(text).map_err(damaged)?;
        document.state.check()?;
        Ok(document.state)
    }
}
