//! The configuration of a Ceph that lives for one run: one monitor, one OSD in memory, one gateway,
//! without keys between them. Ceph does not start without the lines that are not obvious.

use std::path::Path;

use anyhow::Result;

use crate::files::random_hex;

/// The memory of the OSD in bytes: enough for what the tests store in it at one time.
const STORE_BYTES: u64 = 4 << 30;

/// Writes the configuration: everything in `folder`, the monitor on the ports `v2` and `v1`, the
/// gateway on `gateway`.
pub(super) fn ceph_conf(folder: &Path, fsid: &str, [v2, v1, gateway]: [u16; 3]) -> String {
    let w = folder.display();
    format!(
        "[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
public_addr = 127.0.0.1
public_network = 127.0.0.0/8
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# radosgw forces `secure`, which does not exist without keys: it would hang for five minutes.
ms_mon_client_mode = crc
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = {STORE_BYTES}
keyring = {w}/keyring
run_dir = {w}
# A path that could be longer than a socket's may be.
admin_socket =
pid_file = {w}/$name.pid
log_file = {w}/$name.log
setuser_match_path =
[mon]
mon_data = {w}/mon
mon_data_avail_crit = 1
[osd]
osd_data = {w}/osd0
osd_class_load_list = *
osd_class_default_list = *
[client.rgw.haul]
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
rgw_data = {w}/rgw
rgw_dynamic_resharding = false
# Keys of the customer (SSE-C) over plain HTTP, here on the loopback only.
rgw_crypt_require_ssl = false
"
    )
}

/// Returns a random UUID.
pub(super) fn uuid() -> Result<String> {
    let hex = random_hex(16)?;
    Ok(format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]))
}
