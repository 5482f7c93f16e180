output "name" {
  description = "The dashboard's name in CloudWatch."
  value       = aws_cloudwatch_dashboard.path.dashboard_name
}
