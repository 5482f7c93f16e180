output "name" {
  description = "The bucket's name, once what is put into it is versioned, encrypted and shut."
  value       = aws_s3_bucket.this.id

  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "destroyed_with_objects" {
  description = "Whether destroy deletes it although objects are in it."
  value       = aws_s3_bucket.this.force_destroy
}

output "expire_days" {
  description = "Prefix of keys -> days after which its objects are deleted."
  value       = { for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix => rule.expiration[0].days if startswith(rule.id, "expire-") }
}
