//! Small files of the user: read whole, but never waited for and never without bound.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::Path;

/// The content of a regular file of at most `limit` bytes. A pipe, a device or a folder in its place is an error: reading
/// it could take for ever.
pub fn read_small(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for its writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_small(&file, 5).unwrap(), b"12345");
        assert_eq!(read_small(&file, 4).unwrap_err().to_string(), "it is longer than 4 bytes");
        assert!(read_small(&folder.path().join("missing"), 9).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
        assert!(read_small(folder.path(), 9).is_err());
        #[cfg(target_os = "linux")]
        {
            let pipe = folder.path().join("pipe");
            rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
            for endless in [&pipe, Path::new("/dev/zero")] {
                assert_eq!(read_small(endless, 9).unwrap_err().to_string(), "it is not a regular file");
            }
        }
    }
}
