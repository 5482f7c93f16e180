output "arn" {
  description = "Of the queue, once it is there."
  value       = aws_sqs_queue.work.arn
}

output "url" {
  description = "Of the queue."
  value       = aws_sqs_queue.work.url
}

output "dead_letters_url" {
  description = "Of its dead-letter queue."
  value       = aws_sqs_queue.dead_letters.url
}
