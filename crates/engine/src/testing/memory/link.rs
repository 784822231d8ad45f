//! The connection of one request between client and store: the only place where faults occur.
//!
//! The store behind the link is perfect and does not know of faults. A request whose client drops
//! it in the middle is recorded as abandoned. A late request runs on its own task, because a real
//! store would also carry it out without a client that waits.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use haul_parts::{PartNumber, UploadId};
use http_body_util::BodyExt;

use super::faults::Fault;
use super::ledger::{Call, Fate};
use super::world::World;
use super::{MemoryStore, lock};
use crate::body::{BodyError, Payload};
use crate::remote::{Meter, Operation, StoreError, StoreErrorKind};

/// A request in flight.
pub(super) struct Request {
    store: MemoryStore,
    operation: Operation,
    upload_id: Option<UploadId>,
    part: Option<PartNumber>,
    fault: Option<Fault>,
    began: u64,
    fate: Fate,
}

impl MemoryStore {
    pub(super) fn ask(&self, operation: Operation) -> Request {
        self.begin(operation, None, None)
    }

    pub(super) fn ask_of_upload(&self, operation: Operation, upload_id: &UploadId) -> Request {
        self.begin(operation, Some(upload_id), None)
    }

    pub(super) fn ask_of_part(
        &self,
        operation: Operation,
        upload_id: &UploadId,
        part: PartNumber,
    ) -> Request {
        self.begin(operation, Some(upload_id), Some(part))
    }

    fn begin(
        &self,
        operation: Operation,
        upload_id: Option<&UploadId>,
        part: Option<PartNumber>,
    ) -> Request {
        Request {
            store: self.clone(),
            operation,
            upload_id: upload_id.cloned(),
            part,
            fault: lock(&self.shared.faults).strike(operation, part),
            began: self.ledger().begin(operation),
            fate: Fate::Abandoned,
        }
    }
}

impl Request {
    /// Returns the fault of this request, if it matches.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Receives the body. Bytes are copied: a network would not keep the sender's buffers.
    pub(super) async fn receive(
        &mut self,
        payload: &Payload,
        wire: &Meter,
    ) -> Result<Bytes, StoreError> {
        if self.fault == Some(Fault::LoseRequest) {
            // The client's side of the connection has taken the body; the store never receives it.
            let _ = wire.begin() && wire.add(payload.size_bytes());
        }
        self.reach().await?;
        if !wire.begin() {
            return Err(self.broken());
        }
        let cut_at_bytes =
            if self.fault == Some(Fault::CutBody) { payload.size_bytes() / 2 } else { u64::MAX };
        let mut received = BytesMut::new();
        let mut body = payload.body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.unreadable(error))?;
            let Ok(mut slice) = frame.into_data() else { continue };
            let slice = slice.copy_to_bytes(slice.remaining());
            let room = cut_at_bytes - received.len() as u64;
            let arriving = usize::try_from(room).unwrap_or(usize::MAX).min(slice.len());
            if let Some(Fault::Slow(bytes_per_s)) = self.fault {
                tokio::time::sleep(time_of(arriving, bytes_per_s)).await;
            }
            if !wire.add(arriving as u64) {
                return Err(self.broken());
            }
            let part = self.upload_id.as_ref().zip(self.part);
            self.store.ledger().receive(part, arriving as u64);
            received.extend_from_slice(&slice[..arriving]);
            if arriving < slice.len() || received.len() as u64 == cut_at_bytes {
                return Err(self.broken());
            }
            tokio::task::yield_now().await;
        }
        if self.fault == Some(Fault::CutBody) {
            return Err(self.broken());
        }
        if self.fault == Some(Fault::FlipInTransit) {
            flip_a_bit(&mut received);
        }
        Ok(received.freeze())
    }

    /// Carries out a request without a body.
    pub(super) async fn carry_out<T, W>(mut self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&mut World) -> Result<T, StoreError> + Send + 'static,
    {
        self.reach().await?;
        self.carry_out_received(work).await
    }

    /// Carries out a request whose body has been received.
    pub(super) async fn carry_out_received<T, W>(mut self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&mut World) -> Result<T, StoreError> + Send + 'static,
    {
        if let Some(Fault::LandLate(after)) = self.fault {
            let store = self.store.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // The client has dropped the request.
                let _ = work(&mut store.world());
            });
            return Err(self.broken());
        }
        let answer = match self.fault {
            Some(Fault::LandSlowly(after)) => {
                let (store, operation) = (self.store.clone(), self.operation);
                let landing = tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    work(&mut store.world())
                });
                landing.await.unwrap_or_else(|_| Err(broken(operation)))
            }
            Some(Fault::Twice) => {
                let _ = work(&mut self.store.world());
                work(&mut self.store.world())
            }
            _ => work(&mut self.store.world()),
        };
        if let Some(Fault::DelayAnswer(by)) = self.fault {
            tokio::time::sleep(by).await;
        }
        if self.fault == Some(Fault::LoseAnswer) {
            return Err(self.broken());
        }
        self.fate = match &answer {
            Ok(_) => Fate::Succeeded,
            Err(error) => Fate::Failed(error.kind),
        };
        answer
    }

    /// Applies the faults that occur before the store carries out anything.
    async fn reach(&mut self) -> Result<(), StoreError> {
        match self.fault.clone() {
            Some(Fault::Answer(refusal)) => {
                let error = refusal.into_error(self.operation);
                self.fate = Fate::Failed(error.kind);
                Err(error)
            }
            Some(Fault::LoseRequest) => Err(self.broken()),
            Some(Fault::Delay(by)) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
            Some(Fault::TimeOut(after)) => {
                tokio::time::sleep(after).await;
                self.fate = Fate::Unknown;
                let kind = StoreErrorKind::Timeout;
                let error = StoreError::local(self.operation, kind, "no answer for too long");
                Err(StoreError { outcome_unknown: true, ..error })
            }
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::ExpireUpload) => {
                if let Some(upload_id) = &self.upload_id {
                    self.store.world().expire_upload(upload_id);
                }
                Ok(())
            }
            _ => {
                // A request never completes without yielding: other tasks get their turn.
                tokio::task::yield_now().await;
                Ok(())
            }
        }
    }

    fn broken(&mut self) -> StoreError {
        self.fate = Fate::Unknown;
        broken(self.operation)
    }

    fn unreadable(&mut self, error: BodyError) -> StoreError {
        self.fate = Fate::Failed(StoreErrorKind::Source);
        let kind = StoreErrorKind::Source;
        StoreError::local(self.operation, kind, "the bytes to send could not be read")
            .with_source(error)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut ledger = self.store.ledger();
        ledger.end(Call {
            operation: self.operation,
            upload_id: self.upload_id.clone(),
            part: self.part,
            fate: self.fate,
            began: self.began,
            ended: 0,
        });
    }
}

/// Returns the time that bytes take at a rate.
pub(super) fn time_of(bytes: usize, bytes_per_s: u64) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / bytes_per_s)
}

/// Returns the error of a broken connection with an unknown outcome.
pub(super) fn broken(operation: Operation) -> StoreError {
    let error = StoreError::local(operation, StoreErrorKind::Connection, "the connection broke");
    StoreError { outcome_unknown: true, ..error }
}

/// Flips a bit in the middle, where a check of only the ends would miss it. Does nothing to an
/// empty slice.
pub(super) fn flip_a_bit(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0b0000_0100;
    }
}
