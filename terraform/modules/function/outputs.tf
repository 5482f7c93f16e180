output "name" {
  description = "Of the function, once it is there."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "Of the function, once it is there."
  value       = aws_lambda_function.this.arn
}
