output "name" {
  description = "The bucket's name, once it is there."
  value       = aws_s3_bucket.this.id
}

output "destroyed_with_objects" {
  description = "Whether destroy deletes it although objects are in it."
  value       = aws_s3_bucket.this.force_destroy
}

output "expire_days" {
  description = "Prefix of keys -> days after which its objects are deleted."
  value       = { for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix => rule.expiration[0].days if startswith(rule.id, "expire-") }
}
