"""Controls access to the microscope page: passwords and roles, hosts and other sites, TLS, and limits."""
