output "name" {
  description = "The bucket's name, once it is there."
  value       = aws_s3_bucket.this.id
}
