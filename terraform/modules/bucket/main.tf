# Everything stays in the standard class: infrequent access bills each object as 128 KiB and thirty days at least, and a
# change batch has a few KiB.
resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18: who called what is CloudTrail's to record, for the account as a whole; access logs cost an object for each few requests
  #checkov:skip=CKV_AWS_144: the source and the warehouse stand in one region, so a copy in another would be of no use by itself
  #checkov:skip=CKV_AWS_145: SSE-S3 unless customer_managed_key is set
  #checkov:skip=CKV_AWS_21: versioned where objects are written once; an older checkpoint is worth nothing, and thousands a day would cost
  #checkov:skip=CKV2_AWS_62: what is written is told to a queue by whoever writes it, in the same step
  bucket        = var.name
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "this" {
  count = var.versioned ? 1 : 0

  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = var.key_arn != null # one call of KMS for many objects

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NothingWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*" # of a denial, so that none is forgotten
      Resource  = [local.arn, "${local.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.this] # two changes of one bucket's access at once are refused
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "abandoned-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.upload_days
    }
  }

  dynamic "rule" {
    for_each = var.versioned ? [var.replaced_days] : []

    content {
      id     = "replaced-versions"
      status = "Enabled"

      filter {}

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.expire_days

    content {
      id     = "expire-${rule.key == "" ? "all" : trim(rule.key, "_/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this] # noncurrent versions are a rule of versioned buckets
}

locals {
  arn = "arn:${var.partition}:s3:::${var.name}"
}
