//! The parameters and results of the store: plain data with accessors and no behaviour.

mod listing;
mod object;
mod options;
mod settings;
mod upload;

pub use listing::{
    BucketInfo, ListObjects, ListUploads, ObjectPage, ObjectSummary, PartPage, UploadPage,
};
pub use object::{
    CopyOptions, CopySource, Deleted, MetadataDirective, ObjectChecksum, ObjectInfo, ObjectPart,
    ObjectPartPage, ObjectVersion, PutOptions, ReadRange, WriteCondition, WriteOptions,
};
pub use options::StoreOptions;
pub use settings::{
    BucketOptions, CorsConfiguration, CorsRule, LifecycleConfiguration, LifecycleRule,
    ObjectOwnership, PublicAccessBlock, RuleStatus,
};
pub use upload::{
    ChecksumOrigin, CompleteOptions, PartInfo, UploadChecksum, UploadInfo, UploadOptions,
};
