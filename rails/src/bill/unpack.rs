//! Unpacking bills without being led: how much comes out is counted while it comes, and over the limit
//! nothing more is read. Must not know: what is inside.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::{Fault, MOST_BYTES, MOST_FILES};

const GZIP: &[u8] = &[0x1F, 0x8B];
const TOO_LARGE: Fault = Fault::whole("more than 256 MiB unpacked");

/// The bytes of a gzip, or the bytes as they are when it is none.
pub(super) fn gzip(packed: &[u8]) -> Result<Vec<u8>, Fault> {
    gzip_within(packed, MOST_BYTES)
}

fn gzip_within(packed: &[u8], most: u64) -> Result<Vec<u8>, Fault> {
    if packed.starts_with(GZIP) {
        let mut left = most;
        let cut = Fault::whole("the gzip is broken or cut off");
        return read(MultiGzDecoder::new(packed), &mut left, cut);
    }
    if packed.len() as u64 > most {
        return Err(TOO_LARGE);
    }
    Ok(packed.to_vec())
}

/// The files of a zip, in its order, without its folders.
pub(super) fn zip(packed: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    zip_within(packed, MOST_BYTES)
}

fn zip_within(packed: &[u8], most: u64) -> Result<Vec<Vec<u8>>, Fault> {
    let broken = Fault::whole("not a zip, or a broken one");
    let mut archive = ZipArchive::new(Cursor::new(packed)).map_err(|_| broken)?;
    if archive.len() > MOST_FILES {
        return Err(Fault::whole("more files than a bill has"));
    }
    let (mut files, mut left) = (Vec::new(), most);
    for at in 0..archive.len() {
        let unreadable = Fault::whole("broken, cut off or encrypted").in_file(at + 1);
        let file = archive.by_index(at).map_err(|_| unreadable.clone())?;
        if file.is_dir() {
            continue;
        }
        files.push(read(file, &mut left, unreadable)?);
    }
    Ok(files)
}

/// Reads to the end, but not more than is `left`, which it lowers.
fn read(from: impl Read, left: &mut u64, broken: Fault) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    from.take(*left + 1).read_to_end(&mut bytes).map_err(|_| broken)?;
    *left = left.checked_sub(bytes.len() as u64).ok_or(TOO_LARGE)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn what_unpacks_into_more_than_the_limit_is_let_go() -> std::io::Result<()> {
        let large = vec![b'#'; 100_000];
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&large)?;
        let packed = encoder.finish()?;
        assert!(packed.len() < 1_000);
        assert_eq!(gzip_within(&packed, 100_000).map(|bytes| bytes.len()), Ok(100_000));
        assert_eq!(gzip_within(&packed, 99_999), Err(TOO_LARGE));
        // Several in one file count together, and so does what is not packed at all.
        assert_eq!(gzip_within(&packed.repeat(3), 299_999), Err(TOO_LARGE));
        assert_eq!(gzip_within(&large, 99_999), Err(TOO_LARGE));

        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a", "b", "c"] {
            writer.start_file(name, SimpleFileOptions::default())?;
            writer.write_all(&large)?;
        }
        let packed = writer.finish()?.into_inner();
        assert!(packed.len() < 2_000);
        assert_eq!(zip_within(&packed, 300_000).map(|files| files.len()), Ok(3));
        assert_eq!(zip_within(&packed, 299_999), Err(TOO_LARGE));
        Ok(())
    }
}
