# archive, processed and control are what cannot be made again, or not quickly. `prevent_destroy` cannot depend on a variable,
# and would keep a thrown-away environment for ever; S3 itself refuses to delete a bucket with objects in it, and that is
# the protection: without delete_data, a destroy takes everything else away and ends with an error that names the bucket.
module "bucket" {
  for_each = local.topology.buckets
  source   = "./modules/bucket"

  name          = local.bucket_names[each.key]
  versioned     = each.value.versioned
  replaced_days = local.topology.rules.replaced_days
  upload_days   = local.topology.rules.upload_days
  expire_days = {
    archive   = var.archive_retention_days == null ? {} : { "" = var.archive_retention_days }
    processed = { "_quarantine/" = local.topology.rules.quarantine_days }
    control   = {}
  }[each.key]
  least_days    = local.longest_dead_letter_days
  force_destroy = var.delete_data
  key_arn       = local.key_arn
  partition     = local.partition
}

# The packages that were deployed. `make package` builds them again, with the same bytes.
module "artefacts" {
  source = "./modules/bucket"

  name          = local.bucket_names.artefacts
  versioned     = true
  replaced_days = local.topology.rules.replaced_days
  upload_days   = local.topology.rules.upload_days
  expire_days   = {}
  least_days    = local.longest_dead_letter_days
  force_destroy = true
  key_arn       = local.key_arn
  partition     = local.partition
}
