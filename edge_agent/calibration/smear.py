"""The scale by red cells, which lie in every smear and differ little in size."""
