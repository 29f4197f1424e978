//! Packaged charts: gzipped tar archives with everything below one folder.

use std::{io::Read, path::Component};

use super::load::Files;

/// Helm's limits for what a package may hold.
const MAX_FILE: u64 = 5 << 20;
const MAX_TOTAL: u64 = 100 << 20;

/// The files of a package, without the folder that holds them all.
pub(super) fn unpack(data: &[u8]) -> Result<Files, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(data).take(MAX_TOTAL + 1));
    let mut files = Files::new();
    let mut total = 0;
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(|e| e.to_string())?.into_owned();
        let mut parts = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                Component::CurDir => {}
                _ => return Err(format!("{} leads out of the chart", path.display())),
            }
        }
        if parts.len() < 2 {
            return Err(format!("{} is not inside a folder", path.display()));
        }
        if entry.size() > MAX_FILE {
            return Err(format!("{} is larger than {MAX_FILE} bytes", path.display()));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|e| e.to_string())?;
        total += content.len() as u64;
        if total > MAX_TOTAL {
            return Err(format!("it holds more than {MAX_TOTAL} bytes"));
        }
        let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&content);
        files.push((parts[1..].join("/"), content.into()));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}
