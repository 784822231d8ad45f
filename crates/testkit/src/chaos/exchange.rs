//! Copies one body from one side to the other, counts its bytes, and damages it as configured.

use std::io::{ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

use super::wire::Framing;

/// The damage to apply to a body in transit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Damage {
    /// Stop after this many bytes.
    pub(super) stop_after: Option<u64>,
    /// Flip the lowest bit of this byte.
    pub(super) flip_bit_of: Option<u64>,
}

/// How the transfer of a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The whole body was moved.
    Whole,
    /// [`Damage::stop_after`] was reached.
    Stopped,
}

/// Copies a body, and calls `count` for each run of its bytes.
pub(super) async fn copy_body(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    framing: Framing,
    damage: Damage,
    mut count: impl FnMut(u64),
) -> Result<End> {
    let mut copy = Copy { damage, moved: 0, count: &mut count };
    match framing {
        Framing::Length(length) => copy.run(from, to, length).await,
        Framing::UntilClosed => match copy.run(from, to, u64::MAX).await {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(End::Whole),
            other => other,
        },
        Framing::Chunked => copy.chunks(from, to).await,
    }
}

struct Copy<'a, Count> {
    damage: Damage,
    moved: u64,
    count: &'a mut Count,
}

impl<Count: FnMut(u64)> Copy<'_, Count> {
    async fn run(
        &mut self,
        from: &mut (impl AsyncBufRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        mut left: u64,
    ) -> Result<End> {
        loop {
            let allowed =
                self.damage.stop_after.map_or(u64::MAX, |stop| stop.saturating_sub(self.moved));
            // Check before reading: the body may be empty, or end at the stop.
            if allowed == 0 {
                return Ok(End::Stopped);
            }
            if left == 0 {
                break;
            }
            let present = from.fill_buf().await?;
            if present.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let now = usize::try_from(left.min(allowed)).unwrap_or(usize::MAX).min(present.len());
            match self.damage.flip_bit_of {
                Some(at) if (self.moved..self.moved + now as u64).contains(&at) => {
                    let mut damaged = present[..now].to_vec();
                    damaged[usize::try_from(at - self.moved).unwrap_or(0)] ^= 1;
                    to.write_all(&damaged).await?;
                }
                _ => to.write_all(&present[..now]).await?,
            }
            from.consume(now);
            self.moved += now as u64;
            left -= now as u64;
            (self.count)(now as u64);
        }
        to.flush().await?;
        Ok(End::Whole)
    }

    async fn chunks(
        &mut self,
        from: &mut (impl AsyncBufRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<End> {
        loop {
            let line = line(from, to).await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
            if size == 0 {
                // Trailers, then an empty line.
                while !self::line(from, to).await?.is_empty() {}
                to.flush().await?;
                return Ok(End::Whole);
            }
            if self.run(from, to, size).await? == End::Stopped {
                return Ok(End::Stopped);
            }
            self::line(from, to).await?;
        }
    }
}

/// Copies one line and returns it without its end.
async fn line(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<String> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line).await? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    to.write_all(&line).await?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
