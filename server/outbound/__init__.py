"""What goes out to agencies: reports and scheduled exports."""
